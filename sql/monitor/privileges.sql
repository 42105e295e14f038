-- Functions may be executed by everybody unless told otherwise. Here only by those who were granted it above.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA pgautofailover FROM PUBLIC;
