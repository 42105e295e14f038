//! What a keeper does to get from the state it is in to the state it was assigned.
