-- title: each side of a join, by alias and by name
SELECT /*+ STATE_TTL('o' = '1d', 'players' = '12 h') */ o.id, players.team FROM orders AS o LEFT JOIN players ON o.player = players.name;

-- title: one side; the other is as the session says
SELECT /*+ STATE_TTL('p' = '0') */ o.id, p.team FROM orders AS o JOIN players AS p ON o.player = p.name WHERE p.score > 3;

-- title: three tables, the result of the first join has no name
SELECT /*+ STATE_TTL('o' = '1d', 'p' = '2d', 'c' = '3d') */ o.id, p.team, c.score FROM orders AS o JOIN players AS p ON o.player = p.name JOIN changes AS c ON o.id = c.id;

-- title: groups; the last word on a name counts, and the first hint
SELECT /*+ STATE_TTL('o' = '1d', 'o' = '2d'), STATE_TTL('o' = '3d') */ player, COUNT(*) AS n FROM orders AS o WHERE shares > 1 GROUP BY player HAVING COUNT(*) > 2;

-- title: DISTINCT, and a sub-query of its own
SELECT /*+ STATE_TTL('s' = '1d') */ DISTINCT n FROM (SELECT /*+ STATE_TTL('orders' = '2d') */ player, COUNT(*) AS n FROM orders GROUP BY player) AS s;

-- title: equal queries with different hints are not one
SELECT /*+ STATE_TTL('orders' = '1d') */ player, COUNT(*) AS n FROM orders GROUP BY player UNION ALL SELECT /*+ STATE_TTL('orders' = '2d') */ player, COUNT(*) AS n FROM orders GROUP BY player;

-- title: grouping sets
SELECT /*+ STATE_TTL('orders' = '1d') */ player, shares, COUNT(*) AS n FROM orders GROUP BY ROLLUP (player, shares);

-- title: options of the table that a window function reads
SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE orders /*+ OPTIONS('topic'='others') */, DESCRIPTOR(`time`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end;

-- title: options of the table that a changelog function reads
SELECT * FROM TO_CHANGELOG(TABLE changes /*+ OPTIONS('topic'='others') */);

-- title: groups by a sub-query: its own groups are not those of the hint
SELECT /*+ STATE_TTL('o' = '1d') */ (SELECT COUNT(*) FROM changes AS c WHERE c.id < o.id) AS m, COUNT(*) AS n FROM orders AS o GROUP BY (SELECT COUNT(*) FROM changes AS c WHERE c.id < o.id);

-- title: an outer join with a sub-query in ON, another join, and UNNEST above
SELECT /*+ STATE_TTL('o' = '1d', 'p' = '2d', 'c' = '3d') */ o.id, p.team, c.score, t.tag FROM orders AS o LEFT JOIN players AS p ON o.player = p.name AND o.id IN (SELECT id FROM changes) JOIN changes AS c ON o.id = c.id CROSS JOIN UNNEST(o.tags) AS t (tag);

-- title: an outer join with a sub-query of both sides in ON: the sides have changed places
SELECT /*+ STATE_TTL('o' = '1d', 'p' = '2d') */ o.id, p.team FROM orders AS o RIGHT JOIN players AS p ON o.id + p.score IN (SELECT id FROM changes);

-- title: LATERAL
SELECT /*+ STATE_TTL('p' = '1d', 'l' = '2d') */ p.name, l.top FROM players AS p LEFT JOIN LATERAL (SELECT MAX(c.score) AS top FROM changes AS c WHERE c.team = p.team) AS l ON TRUE;
