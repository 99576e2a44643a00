-- title: a lookup by the primary key keeps the key of the left side
SELECT o.id, t.city FROM orders AS o JOIN teams FOR SYSTEM_TIME AS OF o.pt AS t ON o.player = t.name;

-- title: a computed column and conditions beside the key are seen to after the lookup
SELECT o.id, t.`year` FROM orders AS o LEFT JOIN teams FOR SYSTEM_TIME AS OF PROCTIME() AS t ON o.player = t.name AND t.`year` > 1990 AND o.shares > 3 AND t.city <> o.player;

-- title: a key of two columns, one of them an expression on the left, and a cache
SELECT o.id, p.price FROM orders AS o JOIN prices FOR SYSTEM_TIME AS OF o.pt AS p ON p.item = o.shares + 1 AND p.region = UPPER(o.player) WHERE p.price > 5;

-- title: an equality with an expression of the table is compared after the lookup
SELECT o.id FROM orders AS o JOIN teams FOR SYSTEM_TIME AS OF o.pt AS t ON o.player = t.name AND o.id = t.`year`;

-- title: a view over a lookup table
SELECT o.id, t.city FROM orders AS o JOIN old_teams FOR SYSTEM_TIME AS OF o.pt AS t ON o.player = t.team;

-- title: options of a hint, and looking again
SELECT /*+ LOOKUP('table'='t', 'retry-predicate'='lookup_miss', 'retry-strategy'='fixed_delay', 'fixed-delay'='10s', 'max-attempts'='3') */ o.id, t.city FROM orders AS o JOIN teams /*+ OPTIONS('lookup.cache'='PARTIAL') */ FOR SYSTEM_TIME AS OF o.pt AS t ON o.player = t.name;

-- title: two lookup joins, a hint for one of them by the name of its table
SELECT /*+ LOOKUP('table'='prices', 'retry-predicate'='lookup_miss', 'retry-strategy'='fixed_delay', 'fixed-delay'='1s', 'max-attempts'='1') */ o.id, t.city, p.price FROM orders AS o JOIN teams FOR SYSTEM_TIME AS OF o.pt AS t ON o.player = t.name LEFT JOIN prices FOR SYSTEM_TIME AS OF o.pt AS p ON p.item = o.shares;

-- title: a table that is held whole needs no key
SELECT o.id, p.price FROM orders AS o JOIN prices /*+ OPTIONS('lookup.cache'='FULL') */ FOR SYSTEM_TIME AS OF o.pt AS p ON p.price > o.price;

-- title: files that are read again now and then
SELECT o.id, c.zip FROM orders AS o LEFT JOIN cities FOR SYSTEM_TIME AS OF o.pt AS c ON o.player = c.name;

-- title: an aggregate of a database's table is read beside
SELECT o.id, c.n FROM orders AS o JOIN (SELECT city, COUNT(*) AS n FROM teams GROUP BY city) FOR SYSTEM_TIME AS OF o.pt AS c ON o.player = c.city;

-- title: written by key
INSERT INTO teams SELECT player, MAX(detail.city), CAST(MAX(`time`) AS DATE) FROM orders GROUP BY player;

-- title: the hint LOOKUP below a sub-query in ON
SELECT /*+ LOOKUP('table'='t', 'retry-predicate'='lookup_miss', 'retry-strategy'='fixed_delay', 'fixed-delay'='10s', 'max-attempts'='3') */ o.id, t.city, p.score FROM orders AS o JOIN teams FOR SYSTEM_TIME AS OF o.pt AS t ON o.player = t.name LEFT JOIN players AS p ON o.player = p.name AND o.id IN (SELECT id FROM changes);
