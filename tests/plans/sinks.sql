-- title: the first of each key
INSERT INTO totals SELECT player, id, shares FROM orders ON CONFLICT DO NOTHING;

-- title: the last of each key is what an upsert sink shows anyway
INSERT INTO totals SELECT player, id, shares FROM orders ON CONFLICT DO DEDUPLICATE;

-- title: groups of the sink's key have no conflicts
INSERT INTO totals SELECT player, COUNT(*), SUM(shares) FROM orders GROUP BY player ON CONFLICT DO ERROR;
