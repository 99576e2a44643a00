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
