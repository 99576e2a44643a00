-- title: filter and projection become one Calc over the columns they read
SELECT id, UPPER(player) AS p, shares + 1 AS s FROM orders WHERE shares > 10 AND player LIKE 'a%';

-- title: computed, metadata and nested columns
SELECT amount, part, detail.city, tags[1] FROM orders;

-- title: SELECT * keeps every column
SELECT * FROM orders;

-- title: group aggregate over an append-only table
SELECT player, COUNT(*) AS n, SUM(shares) AS s, COUNT(DISTINCT id) AS d FROM orders GROUP BY player HAVING COUNT(*) > 1;

-- title: global aggregate
SELECT COUNT(*) AS n, MAX(price) AS m FROM orders;

-- title: aggregate over an aggregate keeps the retractions below
SELECT n, COUNT(*) AS players FROM (SELECT player, COUNT(*) AS n FROM orders GROUP BY player) GROUP BY n;

-- title: upserts are normalised where somebody needs the old rows
SELECT team, SUM(score) AS s FROM players GROUP BY team;

-- title: upserts reach the client as retractions
SELECT name, score FROM players;

-- title: a CDC table needs no normalisation
SELECT team, MAX(score) AS best FROM changes GROUP BY team;

-- title: select distinct
SELECT DISTINCT player FROM orders;

-- title: tumbling window over the slices of its input
SELECT window_start, window_end, player, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(`time`), INTERVAL '10' SECOND)) WHERE shares > 1 GROUP BY window_start, window_end, player;

-- title: hopping window with an offset, named arguments
SELECT window_end, AVG(price) AS a FROM TABLE(HOP(DATA => TABLE orders, TIMECOL => DESCRIPTOR(`time`), SLIDE => INTERVAL '1' MINUTE, SIZE => INTERVAL '5' MINUTE, `OFFSET` => INTERVAL '30' SECOND)) GROUP BY window_start, window_end;

-- title: cumulating window
SELECT window_start, window_end, MAX(price) AS m FROM TABLE(CUMULATE(TABLE orders, DESCRIPTOR(`time`), INTERVAL '1' MINUTE, INTERVAL '1' HOUR)) GROUP BY window_start, window_end;

-- title: session window per player
SELECT window_start, window_end, player, SUM(shares) AS s FROM TABLE(SESSION(TABLE orders PARTITION BY player, DESCRIPTOR(`time`), INTERVAL '5' MINUTE)) GROUP BY window_start, window_end, player;

-- title: processing-time window
SELECT window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(pt), INTERVAL '1' SECOND)) GROUP BY window_start, window_end;

-- title: window table function alone
SELECT id, window_start, window_end FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(`time`), INTERVAL '10' SECOND));

-- title: cascaded windows through window_time
SELECT window_start, window_end, SUM(n) AS n FROM TABLE(TUMBLE(TABLE (SELECT window_time AS rt, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, window_time), DESCRIPTOR(rt), INTERVAL '1' HOUR)) GROUP BY window_start, window_end;

-- title: grouped again by the same window
SELECT window_start, window_end, MAX(n) AS best FROM (SELECT window_start, window_end, player, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(`time`), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, player) GROUP BY window_start, window_end;

-- title: one window column alone is an ordinary group
SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(`time`), INTERVAL '10' SECOND)) GROUP BY window_start;

-- title: union all
SELECT player FROM orders WHERE shares > 5 UNION ALL SELECT player FROM orders WHERE shares < 2;

-- title: unnest
SELECT id, tag FROM orders CROSS JOIN UNNEST(tags) AS t (tag);

-- title: a view with state stays addressable
SELECT player, n FROM per_player WHERE n > 3;

-- title: values
SELECT a + 1 AS b FROM (VALUES (1), (2)) AS t (a);

-- title: an upsert sink with the query's key needs no old rows
INSERT INTO totals SELECT player, COUNT(*), SUM(shares) FROM orders GROUP BY player;

-- title: statement set shares its scan
STATEMENT SET BEGIN INSERT INTO plain SELECT player, id FROM orders WHERE shares > 1; INSERT INTO totals SELECT player, COUNT(*), SUM(shares) FROM orders GROUP BY player; END;

-- title: an insert-only sink refuses updates
INSERT INTO plain SELECT player, COUNT(*) FROM orders GROUP BY player;

-- title: an upsert sink with another key
INSERT INTO totals SELECT CAST(n AS STRING), COUNT(*), 1 FROM per_player GROUP BY n;
