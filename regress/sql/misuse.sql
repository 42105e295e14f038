-- Every function that a node or an operator may call, with values that make no sense, one argument at a time: each call has an
-- answer, or is refused with a SQLSTATE of those that callers are told of. The calls are made from the catalog. Nothing stays done.
\pset format unaligned
\pset tuples_only on
SELECT stage.set('misused', 2);
CREATE TEMPORARY TABLE sense AS SELECT * FROM (VALUES
    ('formation_id', '''misused'''), ('node_id', 'stage.id(''misused_2'')'), ('group_id', '0'), ('node_name', '''misused_2'''),
    ('node_host', '''192.0.2.2'''), ('node_port', '(SELECT nodeport FROM pgautofailover.node_state WHERE nodename = ''misused_2'')'), ('dbname', '''postgres'''), ('kind', '''pgsql'''),
    ('cluster_name', '''default'''), ('node_cluster', '''default'''), ('sslmode', '''prefer'''), ('node_kind', '''standalone'''),
    ('initial_group_role', '''init'''), ('candidate_priority', '50'), ('number_sync_standbys', '0'), ('count', '10'),
    ('desired_node_id', '-1'), ('desired_group_id', '-1'), ('sysidentifier', '0'), ('sysid', '0'), ('current_tli', '1'),
    ('current_group_role', '''secondary'''), ('current_state', '''primary'''), ('current_lsn', '''0/1000000'''),
    ('goal', '''primary'''), ('reported', '''primary'''), ('plain', '''a b'''), ('rule', '''{"number": 0, "wait_for": 0, "members": []}'''),
    ('report', 'format(''{"version": 1, "node": %s, "state": "secondary", "in_recovery": true}'', stage.id(''misused_2''))')
) AS sense(argument, value);
CREATE TEMPORARY TABLE nonsense AS SELECT * FROM (VALUES
    ('text', $$''$$), ('text', $$' '$$), ('text', $$repeat('x', 10000)$$), ('text', $$repeat('ä', 10000)$$), ('text', $$E'\x01\x1b[2J\x7f\n\r'$$),
    ('text', $$U&'\0085\202E\FEFF'$$), ('text', $$'%s%n%25'$$), ('text', $$'''; DROP TABLE pgautofailover.formation; --'$$),
    ('text', $$'-1'$$), ('text', $$'pgautofailover_standby_2'$$), ('text', $$'null'$$), ('text', $$'{}'$$), ('text', $$'[]'$$),
    ('text', $$repeat('[', 200000)$$), ('text', $$repeat('{"a":', 200000)$$), ('text', $$'{"version": 1, "node": 1, "state": "primary", "x": ' || repeat('[', 5000) || repeat(']', 5000) || '}'$$),
    ('text', $$format('{"version": 1, "node": %s, "state": "primary", "term": 18446744073709551615, "rule": 18446744073709551615}', stage.id('misused_2'))$$),
    ('text', $$format('{"version": 1, "node": %s, "state": "primary", "term": -1}', stage.id('misused_2'))$$),
    ('text', $$format('{"version": 1, "node": %s, "state": "primary", "timeline": 4294967295, "lsn": "FFFFFFFF/FFFFFFFF"}', stage.id('misused_2'))$$),
    ('text', $$format('{"version": 1, "node": %s, "state": "nonsense"}', stage.id('misused_2'))$$),
    ('text', $$format('{"version": 1, "node": %s, "state": "secondary", "lsn": "FFFFFFFF/FFFFFFFF", "note": "\u0000\u0007%s"}', stage.id('misused_2'), repeat('n', 100000))$$),
    ('text', $$format('{"version": 1, "node": %s, "state": "primary", "followers": [%s]}', stage.id('misused_2'), (SELECT string_agg(i::text, ',') FROM generate_series(1, 100000) i))$$),
    ('text', $$'{"number": 1, "wait_for": 4294967295, "members": [1]}'$$), ('text', $$'{"number": 1, "wait_for": 1, "members": [9223372036854775807, -1, 0]}'$$),
    ('name', $$''$$), ('name', $$repeat('x', 10000)$$), ('name', $$E'\x01\n'$$),
    ('int4', '0'), ('int4', '-1'), ('int4', '1'), ('int4', '101'), ('int4', '65536'), ('int4', '2147483647'), ('int4', '-2147483648'),
    ('int8', '0'), ('int8', '-1'), ('int8', '4711'), ('int8', '9223372036854775807'), ('int8', '-9223372036854775808'),
    ('bool', 'true'), ('bool', 'false'), ('pg_lsn', $$'0/0'$$), ('pg_lsn', $$'FFFFFFFF/FFFFFFFF'$$)
) AS nonsense(type, value)
UNION ALL SELECT 'replication_state', quote_literal(label) FROM unnest(enum_range(NULL::pgautofailover.replication_state)) AS label;

CREATE FUNCTION pg_temp.outcome(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE call;
    RAISE SQLSTATE 'OK000';
EXCEPTION WHEN OTHERS THEN
    RETURN CASE SQLSTATE WHEN 'OK000' THEN 'ok' WHEN 'XX000' THEN 'XX000 ' || SQLERRM ELSE SQLSTATE END;
END
$$;

-- Each function once with sense, once with nothing but NULL, and once with each nonsense and NULL for each argument.
CREATE TEMPORARY TABLE called AS
WITH argument AS (
    SELECT p.oid, p.proname, a.place, p.proargnames[a.place] AS name, t.typname AS type, format_type(t.oid, NULL) AS cast_to,
           coalesce(s.value, CASE t.typname WHEN 'bool' THEN 'true' WHEN 'text' THEN '''''' ELSE 'NULL' END) AS sense
      FROM pg_proc p
     CROSS JOIN LATERAL unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a(type, place)
      JOIN pg_type t ON t.oid = a.type
      LEFT JOIN sense s ON s.argument = p.proargnames[a.place]
     WHERE p.pronamespace = 'pgautofailover'::regnamespace AND has_function_privilege('autoctl', p.oid, 'EXECUTE')),
choice AS (
    SELECT oid, NULL::bigint AS place, NULL::text AS value FROM argument
    UNION
    SELECT oid, place, value FROM argument JOIN nonsense USING (type)
    UNION
    SELECT oid, place, 'NULL' FROM argument
    UNION
    SELECT oid, -1, 'NULL' FROM argument),
call AS (
    SELECT choice.oid, format('SELECT * FROM pgautofailover.%I(%s)', min(a.proname), string_agg(
               format('%I => (%s)::%s', a.name, CASE WHEN choice.place IN (a.place, -1) THEN choice.value ELSE a.sense END, a.cast_to), ', ' ORDER BY a.place)) AS text
      FROM choice JOIN argument a USING (oid)
     GROUP BY choice.oid, choice.place, choice.value)
SELECT oid::regprocedure::text AS function, text, pg_temp.outcome(text) AS outcome FROM call;

SELECT count(*) > 1000 AS calls, count(DISTINCT function) > 25 AS functions FROM called;
SELECT function, outcome, left(text, 300) FROM called
 WHERE outcome NOT IN ('ok', '22004', '22023', '42704', '42P17', '55000', '55006', '23505', '23P01', '2201W')
 ORDER BY 1, 2, 3 LIMIT 40;
-- Each function was also called so that it had an answer; these two are refused while there are nodes.
SELECT function FROM called GROUP BY function HAVING NOT bool_or(outcome = 'ok') ORDER BY 1;
-- What was done was undone, and the group is as it was.
SELECT * FROM stage.settle('misused');
