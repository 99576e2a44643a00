-- title: grouping sets
SELECT player, part, COUNT(*) AS n, SUM(shares) AS s, GROUPING(part) AS g FROM orders GROUP BY GROUPING SETS ((player, part), (player));

-- title: rollup has a row over everything
SELECT player, COUNT(*) AS n FROM orders GROUP BY ROLLUP (player);

-- title: a set twice
SELECT player, GROUP_ID() AS g, COUNT(*) AS n FROM orders GROUP BY GROUPING SETS (player, player);

-- title: grouping sets beside a window
SELECT window_start, player, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(`time`), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, CUBE (player);

-- title: the older form of a window
SELECT player, TUMBLE_START(`time`, INTERVAL '10' SECOND) AS ws, COUNT(*) AS n FROM orders GROUP BY player, TUMBLE(`time`, INTERVAL '10' SECOND);

-- title: the older form of a session, with its time
SELECT UPPER(player) AS p, SESSION_ROWTIME(`time`, INTERVAL '10' SECOND) AS rt FROM orders WHERE shares > 1 GROUP BY UPPER(player), SESSION(`time`, INTERVAL '10' SECOND);

-- title: intersect of insertions takes nothing back
SELECT id FROM orders WHERE shares > 1 INTERSECT SELECT id FROM orders WHERE part = 1;

-- title: except is an update
SELECT team FROM changes EXCEPT ALL SELECT team FROM players;
