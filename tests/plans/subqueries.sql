-- title: in
SELECT id FROM orders WHERE player IN (SELECT name FROM players WHERE score > 10);

-- title: not in
SELECT id FROM orders WHERE player NOT IN (SELECT team FROM changes);

-- title: correlated exists
SELECT id FROM orders AS o WHERE EXISTS (SELECT 1 FROM players AS p WHERE p.name = o.player AND p.score > o.shares);

-- title: an uncorrelated value
SELECT id, shares - (SELECT MAX(score) FROM players) AS d FROM orders;

-- title: a correlated count is 0 where nothing matches
SELECT id, (SELECT COUNT(*) FROM changes AS c WHERE c.id = o.id) AS n FROM orders AS o;

-- title: in as a column
SELECT id, shares IN (SELECT score FROM changes) AS i FROM orders;

-- title: a lateral aggregate
SELECT p.name, l.n FROM players AS p, LATERAL (SELECT COUNT(*) AS n FROM changes AS c WHERE c.team = p.team) AS l;

-- title: changes as rows and back
SELECT * FROM FROM_CHANGELOG(TABLE (SELECT * FROM TO_CHANGELOG(TABLE per_player PARTITION BY player)));

-- title: an aggregate by another comparison is computed for each value compared
SELECT id FROM orders AS o WHERE shares > (SELECT AVG(c.score) FROM changes AS c WHERE c.id < o.id);

-- title: the first rows of each
SELECT p.name, l.id, l.score FROM players AS p, LATERAL (SELECT id, score FROM changes AS c WHERE c.team = p.team ORDER BY score DESC LIMIT 2) AS l;

-- title: a condition on the preserved side
SELECT o.id, p.score FROM orders AS o LEFT JOIN players AS p ON p.name = o.player AND o.shares IN (SELECT score FROM changes);

-- title: two levels up
SELECT id FROM orders AS o WHERE EXISTS (SELECT 1 FROM players AS p WHERE p.name = o.player AND EXISTS (SELECT 1 FROM changes AS c WHERE c.team = p.team AND c.id = o.id));
