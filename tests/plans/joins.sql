-- title: conditions of a comma join go into it and below it
SELECT o.id, p.team FROM orders AS o, players AS p WHERE o.player = p.name AND o.shares > 10 AND p.team <> 'x' AND o.id < p.score;

-- title: three tables, each condition where its tables are
SELECT o.id, p.team, c.score FROM orders AS o, players AS p, changes AS c WHERE o.player = p.name AND p.team = c.team AND c.score > 1 AND o.id = c.id;

-- title: WHERE on the preserved side goes below a left join, on the other side it makes it an inner join
SELECT o.id, p.team FROM orders AS o LEFT JOIN players AS p ON o.player = p.name WHERE o.shares > 10 AND p.score > 3;

-- title: conditions of ON go below the side that they do not preserve, the others become keys
SELECT o.id, p.team FROM orders AS o LEFT JOIN players AS p ON o.player = p.name AND p.score > 3 AND o.shares > 10;

-- title: a condition that accepts NULL stays above the join
SELECT o.id FROM orders AS o LEFT JOIN players AS p ON o.player = p.name WHERE p.name IS NULL;

-- title: what is not deterministic stays where it is
SELECT o.id FROM orders AS o JOIN players AS p ON o.player = p.name WHERE RAND() > 0.5;

-- title: insert-only sides join to insertions
SELECT a.id, b.price FROM orders AS a JOIN orders AS b ON a.id = b.id;

-- title: a self join of an aggregate, by its key
SELECT a.player, a.n, b.s FROM per_player AS a FULL JOIN per_player AS b ON a.player = b.player;

-- title: keys that are expressions, keys that may be NULL
SELECT a.id FROM orders AS a JOIN orders AS b ON UPPER(a.player) = b.player AND a.shares = b.id AND a.price IS NOT DISTINCT FROM b.price;

-- title: no equality
SELECT a.id, b.id FROM orders AS a JOIN orders AS b ON a.price < b.price;

-- title: the key of the other side keeps one's own
INSERT INTO totals SELECT a.player, a.n, CAST(p.score AS INT) FROM per_player AS a LEFT JOIN players AS p ON a.player = p.name;

-- title: interval join
SELECT a.id, b.id FROM orders AS a JOIN orders AS b ON a.player = b.player AND a.`time` BETWEEN b.`time` - INTERVAL '10' SECOND AND b.`time` + INTERVAL '5' SECOND;

-- title: interval join by comparisons in WHERE, and a window over it
SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE (SELECT a.`time` AS t, b.id FROM orders AS a, orders AS b WHERE a.player = b.player AND a.id > b.id AND b.`time` >= a.`time` AND b.`time` - INTERVAL '1' MINUTE < a.`time`), DESCRIPTOR(t), INTERVAL '1' HOUR)) GROUP BY window_start, window_end;

-- title: interval join by processing time
SELECT a.id, b.id FROM orders AS a LEFT JOIN orders AS b ON a.player = b.player AND b.pt BETWEEN a.pt AND a.pt + INTERVAL '1' MINUTE;

-- title: bounded on one side only it is a regular join
SELECT a.id, b.id FROM orders AS a JOIN orders AS b ON a.player = b.player AND a.`time` > b.`time`;

-- title: the times of a regular join are no time attributes
SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE (SELECT a.`time` AS t FROM orders AS a JOIN orders AS b ON a.id = b.id), DESCRIPTOR(t), INTERVAL '1' HOUR)) GROUP BY window_start, window_end;

-- title: window join, and an aggregate of its windows
SELECT l.window_start, l.window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) AS l JOIN TABLE(TUMBLE(TABLE orders, DESCRIPTOR(`time`), INTERVAL '1' MINUTE)) AS r ON l.player = r.player AND l.window_start = r.window_start AND l.window_end = r.window_end WHERE l.shares > r.shares GROUP BY l.window_start, l.window_end;

-- title: lookup of a table's present rows
SELECT o.id, p.team FROM orders AS o LEFT JOIN players FOR SYSTEM_TIME AS OF o.pt AS p ON p.name = o.player AND p.score > 3;

-- title: versions of a view that keeps the last row
SELECT o.id, r.price FROM orders AS o JOIN latest FOR SYSTEM_TIME AS OF o.`time` AS r ON r.player = UPPER(o.player) WHERE r.price > 1;

-- title: hints about machines are noted in joins
SELECT /*+ BROADCAST(b), NEST_LOOP(a) */ a.id FROM orders AS a JOIN orders AS b ON a.id = b.id;

-- title: a hint names a table of the join
SELECT /*+ SHUFFLE_HASH(x) */ a.id FROM orders AS a JOIN orders AS b ON a.id = b.id;
