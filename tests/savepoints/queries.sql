-- name: no state
SELECT id, UPPER(item), place.city FROM orders WHERE n > 2;

-- name: groups by text
SELECT customer, COUNT(*), SUM(amount), AVG(n), MIN(item), MAX(ts), SUM(weight), COUNT(DISTINCT item) FROM orders GROUP BY customer;

-- name: groups by decimal, with a filter
SELECT amount, COUNT(*) FILTER (WHERE n > 2), SUM(DISTINCT n), MAX(day), MIN(raw) FROM orders GROUP BY amount;

-- name: groups by nested values
SELECT place, tags, COUNT(*), MIN(customer) FROM orders GROUP BY place, tags;

-- name: groups by many types
SELECT day, paid, raw, weight, CAST(n AS SMALLINT), COUNT(*) FROM orders GROUP BY day, paid, raw, weight, CAST(n AS SMALLINT);

-- name: everything
SELECT COUNT(*), SUM(amount), FIRST_VALUE(customer), LAST_VALUE(item) FROM orders;

-- name: distinct
SELECT DISTINCT customer, item FROM orders;

-- name: groups of groups
SELECT n, COUNT(*), MAX(total), MIN(customer) FROM per_customer GROUP BY n;

-- name: groups that are recomputed
SELECT shop, LISTAGG(DISTINCT item), MAX(n), COUNT(DISTINCT n) FROM stock GROUP BY shop HAVING COUNT(*) > 0;

-- name: grouping sets
SELECT customer, item, SUM(n), GROUPING(item) FROM orders GROUP BY GROUPING SETS ((customer, item), (customer), ());

-- name: upserts
-- key: 1
SELECT item, price FROM prices;

-- name: groups of upserts
SELECT price, COUNT(*) FROM prices GROUP BY price;

-- name: inner join
SELECT o.id, o.customer, p.sum, p.how FROM orders o JOIN payments p ON o.id = p.order_id;

-- name: left join of changes
SELECT c.customer, c.total, s.n FROM per_customer c LEFT JOIN stock s ON CAST(c.n AS INT) = s.n;

-- name: right join with a condition
SELECT o.id, s.shop, s.n FROM orders o RIGHT JOIN stock s ON o.item = s.item AND o.n > s.n;

-- name: full join
SELECT o.id, p.how FROM orders o FULL JOIN payments p ON o.id = p.order_id AND o.amount = p.sum;

-- name: semi join
SELECT id, item FROM orders WHERE id IN (SELECT order_id FROM payments);

-- name: anti join
SELECT id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM payments p WHERE p.order_id = o.id AND p.sum > o.amount);

-- name: not in
SELECT id FROM orders WHERE item NOT IN (SELECT item FROM stock WHERE n > 5);

-- name: join without equality
SELECT s.item, c.customer FROM stock s JOIN per_customer c ON s.n > c.n;

-- name: interval join
SELECT o.id, p.how FROM orders o JOIN payments p ON o.id = p.order_id AND p.ts BETWEEN o.ts - INTERVAL '2' SECOND AND o.ts + INTERVAL '20' SECOND;

-- name: interval left join
SELECT o.id, p.how FROM orders o LEFT JOIN payments p ON o.id = p.order_id AND p.ts BETWEEN o.ts AND o.ts + INTERVAL '9' SECOND;

-- name: temporal join
SELECT o.id, r.price FROM orders o LEFT JOIN prices FOR SYSTEM_TIME AS OF o.ts AS r ON o.item = r.item;

-- name: join of the present
-- batch: no, it depends on what comes first
SELECT o.id, r.price FROM orders o JOIN prices FOR SYSTEM_TIME AS OF o.pt AS r ON o.item = r.item;

-- name: best
SELECT item, id, amount, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY item ORDER BY amount DESC, id) AS rn FROM orders) WHERE rn <= 2;

-- name: best without their place
SELECT item, id FROM (SELECT *, RANK() OVER (PARTITION BY item ORDER BY n DESC, customer) AS rn FROM orders) WHERE rn <= 2;

-- name: best of changes
SELECT customer, total, rn FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY total DESC, customer) AS rn FROM per_customer) WHERE rn <= 2;

-- name: best of upserts
SELECT item, price FROM prices ORDER BY price DESC, item LIMIT 2;

-- name: later places
SELECT shop, item, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY shop ORDER BY n, item) AS rn FROM stock) WHERE rn BETWEEN 2 AND 3;

-- name: limit
-- batch: no, which rows is not said
SELECT id FROM orders LIMIT 27;

-- name: order of time
SELECT id, ts FROM orders ORDER BY ts, id;

-- name: first rows
SELECT customer, id, item FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY customer ORDER BY ts) AS rn FROM orders) WHERE rn = 1;

-- name: last rows
-- key: 1
SELECT customer, id, tags FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY customer ORDER BY ts DESC) AS rn FROM orders WHERE customer <> '') WHERE rn = 1;

-- name: first rows to come
-- batch: no, it depends on the clock
SELECT item, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY item ORDER BY pt) AS rn FROM orders) WHERE rn = 1;

-- name: over rows
SELECT id, SUM(n) OVER w, LAG(item) OVER w, COUNT(*) OVER w FROM orders WINDOW w AS (PARTITION BY customer ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW);

-- name: over a time
SELECT id, MAX(amount) OVER (PARTITION BY item ORDER BY ts RANGE BETWEEN INTERVAL '15' SECOND PRECEDING AND CURRENT ROW) FROM orders;

-- name: over everything so far
SELECT id, SUM(n) OVER (ORDER BY ts), MIN(customer) OVER (PARTITION BY item ORDER BY ts) FROM orders;

-- name: over changes
SELECT customer, total, RANK() OVER (ORDER BY total) FROM per_customer;

-- name: patterns
SELECT * FROM orders MATCH_RECOGNIZE (PARTITION BY customer ORDER BY ts, id MEASURES FIRST(A.id) AS a, LAST(B.id) AS b, SUM(B.n) AS s AFTER MATCH SKIP PAST LAST ROW PATTERN (A B+ C) DEFINE B AS B.n >= A.n, C AS C.n < A.n);

-- name: patterns within a time
SELECT * FROM orders MATCH_RECOGNIZE (ORDER BY ts, id MEASURES A.id AS a, COUNT(B.id) AS bs, C.id AS c AFTER MATCH SKIP TO NEXT ROW PATTERN (A B{2,4} C) WITHIN INTERVAL '30' SECOND DEFINE A AS A.paid, B AS B.n > 1, C AS C.item = A.item);

-- name: union
SELECT item FROM orders UNION SELECT item FROM stock;

-- name: intersect
SELECT item FROM orders INTERSECT SELECT item FROM stock;

-- name: except all
SELECT item, n FROM stock EXCEPT ALL SELECT item, n FROM orders;

-- name: sink of another key
-- key: 1
SELECT n, MIN(customer) FROM per_customer GROUP BY n;

-- name: sink that keeps rows apart
-- key: 1
-- conflict: ON CONFLICT DO DEDUPLICATE
-- batch: no, which of several rows of a key comes last
SELECT item, customer, COUNT(*) FROM orders WHERE item <> '' GROUP BY item, customer;

-- name: rows of windows
SELECT id, window_start, window_end FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND));

-- name: best of a window
SELECT window_end, customer, c FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY c DESC, customer) AS rn FROM (SELECT window_start, window_end, customer, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '30' SECOND)) GROUP BY window_start, window_end, customer)) WHERE rn <= 2;

-- name: last row of a window
SELECT window_end, customer, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, customer ORDER BY ts DESC) AS rn FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '30' SECOND))) WHERE rn = 1;

-- name: join of windows
SELECT o.window_end, o.id, p.how FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '20' SECOND)) AS o LEFT JOIN TABLE(TUMBLE(TABLE payments, DESCRIPTOR(ts), INTERVAL '20' SECOND)) AS p ON o.id = p.order_id AND o.window_start = p.window_start AND o.window_end = p.window_end;

-- name: windows of windows
SELECT window_end, SUM(c) FROM TABLE(TUMBLE(TABLE (SELECT window_time AS rt, COUNT(*) AS c FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, window_time), DESCRIPTOR(rt), INTERVAL '30' SECOND)) GROUP BY window_start, window_end;

-- name: windows of the clock
-- batch: no, it depends on the clock
SELECT window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(pt), INTERVAL '1' HOUR)) GROUP BY window_start, window_end;
