-- projection
SELECT id, UPPER(cust) AS c, amount * qty AS total, price / 2 AS half FROM orders WHERE qty > 1 OR qty IS NULL;
-- filter over changes
SELECT id, team FROM changes WHERE points > 4;
-- distinct
SELECT DISTINCT cust, qty FROM orders;
-- union all
SELECT id, amount FROM orders WHERE id < 4 UNION ALL SELECT pay, paid FROM payments WHERE pay < 103;
-- union
SELECT cust FROM orders UNION SELECT name FROM customers;
-- intersect
SELECT cust FROM orders INTERSECT SELECT name FROM customers;
-- intersect all
SELECT cust FROM orders INTERSECT ALL SELECT name FROM customers;
-- except
SELECT cust FROM orders EXCEPT SELECT name FROM customers;
-- except all
SELECT cust FROM orders EXCEPT ALL SELECT name FROM customers;
-- group counts
SELECT cust, COUNT(*) AS n, COUNT(amount) AS k, COUNT(DISTINCT qty) AS d FROM orders GROUP BY cust;
-- group sums
SELECT cust, SUM(amount) AS a, SUM(qty) AS q, SUM(price) AS p, AVG(amount) AS aa, AVG(qty) AS aq, AVG(price) AS ap FROM orders GROUP BY cust;
-- group extremes
SELECT cust, MIN(amount) AS a, MAX(price) AS b, MIN(cust) AS c, MAX(ts) AS d FROM orders GROUP BY cust;
-- group moments
SELECT cust, STDDEV_POP(qty) AS a, STDDEV_SAMP(qty) AS b, VAR_POP(price) AS c, VAR_SAMP(price) AS d FROM orders GROUP BY cust;
-- group filter
SELECT cust, COUNT(*) FILTER (WHERE qty > 1) AS a, SUM(amount) FILTER (WHERE qty = 2) AS b FROM orders GROUP BY cust;
-- group having
SELECT cust, SUM(qty) AS s FROM orders GROUP BY cust HAVING SUM(qty) > 4;
-- group first and last
SELECT cust, FIRST_VALUE(id) AS a, LAST_VALUE(id) AS b, FIRST_VALUE(amount) AS c FROM orders GROUP BY cust;
-- group lists
SELECT cust, LISTAGG(CAST(id AS STRING)) AS a, LISTAGG(CAST(qty AS STRING), '/') AS b FROM orders GROUP BY cust;
-- group arrays
SELECT cust, ARRAY_AGG(id) AS a FROM orders GROUP BY cust;
-- group multisets
SELECT cust, COLLECT(qty) AS a FROM orders GROUP BY cust;
-- group json
SELECT cust, JSON_ARRAYAGG(qty) AS a, JSON_OBJECTAGG(KEY CAST(id AS STRING) VALUE qty) AS b FROM orders GROUP BY cust;
-- global aggregate
SELECT COUNT(*) AS n, SUM(qty) AS s, MAX(amount) AS m FROM orders;
-- global aggregate of nothing
SELECT COUNT(*) AS n, SUM(qty) AS s FROM orders WHERE id > 1000;
-- aggregate of changes
SELECT team, COUNT(*) AS n, SUM(points) AS s, MAX(points) AS m, MIN(points) AS l FROM changes GROUP BY team;
-- aggregate of aggregate
SELECT n, COUNT(*) AS custs FROM (SELECT cust, COUNT(*) AS n FROM orders GROUP BY cust) GROUP BY n;
-- grouping sets
SELECT cust, qty, COUNT(*) AS n, GROUPING(cust) AS gc, GROUPING_ID(cust, qty) AS g FROM orders GROUP BY GROUPING SETS ((cust, qty), (cust), ());
-- rollup
SELECT cust, qty, SUM(amount) AS s FROM orders GROUP BY ROLLUP (cust, qty);
-- cube
SELECT cust, qty, COUNT(*) AS n FROM orders GROUP BY CUBE (cust, qty);
-- tumble
SELECT window_start, window_end, window_time, cust, COUNT(*) AS n, SUM(amount) AS s FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, window_time, cust;
-- tumble offset
SELECT window_start, window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '3' SECOND)) GROUP BY window_start, window_end;
-- hop
SELECT window_start, window_end, COUNT(*) AS n, MIN(price) AS p FROM TABLE(HOP(TABLE orders, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '15' SECOND)) GROUP BY window_start, window_end;
-- cumulate
SELECT window_start, window_end, cust, COUNT(*) AS n FROM TABLE(CUMULATE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '30' SECOND)) GROUP BY window_start, window_end, cust;
-- session
SELECT window_start, window_end, cust, COUNT(*) AS n FROM TABLE(SESSION(TABLE orders PARTITION BY cust, DESCRIPTOR(ts), INTERVAL '6' SECOND)) GROUP BY window_start, window_end, cust;
-- window function alone
SELECT id, window_start, window_end FROM TABLE(HOP(TABLE orders, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND));
-- window grouping sets
SELECT window_start, window_end, cust, SUM(qty) AS s FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, GROUPING SETS ((cust), ());
-- window of window
SELECT window_start, window_end, SUM(n) AS s FROM TABLE(TUMBLE((SELECT window_time AS wt, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, window_time), DESCRIPTOR(wt), INTERVAL '30' SECOND)) GROUP BY window_start, window_end;
-- window distinct
SELECT window_start, COUNT(DISTINCT cust) AS d, SUM(DISTINCT qty) AS s FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end;
-- legacy tumble
SELECT TUMBLE_START(ts, INTERVAL '10' SECOND) AS s, TUMBLE_END(ts, INTERVAL '10' SECOND) AS e, COUNT(*) AS n FROM orders GROUP BY TUMBLE(ts, INTERVAL '10' SECOND);
-- legacy hop
SELECT HOP_START(ts, INTERVAL '5' SECOND, INTERVAL '10' SECOND) AS s, cust, SUM(qty) AS n FROM orders GROUP BY HOP(ts, INTERVAL '5' SECOND, INTERVAL '10' SECOND), cust;
-- legacy session
SELECT SESSION_START(ts, INTERVAL '6' SECOND) AS s, SESSION_END(ts, INTERVAL '6' SECOND) AS e, cust, COUNT(*) AS n FROM orders GROUP BY SESSION(ts, INTERVAL '6' SECOND), cust;
-- inner join
SELECT o.id, c.city, c.tier FROM orders AS o JOIN customers AS c ON o.cust = c.name;
-- left join
SELECT o.id, c.city FROM orders AS o LEFT JOIN customers AS c ON o.cust = c.name AND c.tier = 1;
-- right join
SELECT o.id, c.name FROM orders AS o RIGHT JOIN customers AS c ON o.cust = c.name AND o.qty > 2;
-- full join
SELECT o.id, o.cust, p.pay, p.paid FROM orders AS o FULL JOIN payments AS p ON o.id = p.order_id AND o.amount = p.paid;
-- self join
SELECT a.id, b.id AS other FROM orders AS a JOIN orders AS b ON a.cust = b.cust AND a.id < b.id;
-- three joins
SELECT o.id, c.city, p.means FROM orders AS o JOIN customers AS c ON o.cust = c.name LEFT JOIN payments AS p ON p.order_id = o.id;
-- join of changes
SELECT a.id, b.id AS other, a.points FROM changes AS a LEFT JOIN changes AS b ON a.points = b.points AND a.id <> b.id;
-- join of aggregates
SELECT o.cust, o.n, p.s FROM (SELECT cust, COUNT(*) AS n FROM orders GROUP BY cust) AS o FULL JOIN (SELECT means, SUM(paid) AS s FROM payments GROUP BY means) AS p ON o.n = CAST(p.s AS INT);
-- using
SELECT city, n FROM customers JOIN (SELECT cust AS name, COUNT(*) AS n FROM orders GROUP BY cust) AS o USING (name);
-- in
SELECT id FROM orders WHERE cust IN (SELECT name FROM customers WHERE tier IS NOT NULL);
-- not in
SELECT id, cust FROM orders WHERE cust NOT IN (SELECT name FROM customers);
-- not in with null
SELECT pay FROM payments WHERE order_id NOT IN (SELECT qty FROM orders);
-- exists
SELECT id FROM orders AS o WHERE EXISTS (SELECT * FROM payments AS p WHERE p.order_id = o.id AND p.paid = o.amount);
-- not exists
SELECT id FROM orders AS o WHERE NOT EXISTS (SELECT * FROM payments AS p WHERE p.order_id = o.id);
-- scalar subquery
SELECT id, qty - (SELECT AVG(qty) FROM orders) AS d FROM orders WHERE id < 5;
-- correlated scalar subquery
SELECT id, (SELECT COUNT(*) FROM payments AS p WHERE p.order_id = o.id) AS n FROM orders AS o;
-- cross join with one row
SELECT o.id, m.total FROM orders AS o CROSS JOIN (SELECT SUM(qty) AS total FROM orders) AS m WHERE o.id < 4;
-- interval join
SELECT o.id, p.pay FROM orders AS o JOIN payments AS p ON o.id = p.order_id AND p.pts BETWEEN o.ts - INTERVAL '2' SECOND AND o.ts + INTERVAL '3' SECOND;
-- interval left join
SELECT o.id, p.pay FROM orders AS o LEFT JOIN payments AS p ON o.id = p.order_id AND p.pts BETWEEN o.ts AND o.ts + INTERVAL '3' SECOND;
-- interval full join
SELECT o.id, p.pay FROM orders AS o FULL JOIN payments AS p ON o.id = p.order_id AND p.pts > o.ts - INTERVAL '1' SECOND AND p.pts <= o.ts + INTERVAL '2' SECOND;
-- window join
SELECT l.id, r.pay, l.window_start FROM (SELECT * FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND))) AS l JOIN (SELECT * FROM TABLE(TUMBLE(TABLE payments, DESCRIPTOR(pts), INTERVAL '10' SECOND))) AS r ON l.id = r.order_id AND l.window_start = r.window_start AND l.window_end = r.window_end;
-- window full join
SELECT l.id, r.pay FROM (SELECT * FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND))) AS l FULL JOIN (SELECT * FROM TABLE(TUMBLE(TABLE payments, DESCRIPTOR(pts), INTERVAL '10' SECOND))) AS r ON l.id = r.order_id AND l.window_start = r.window_start AND l.window_end = r.window_end;
-- window semi join
SELECT l.id FROM (SELECT * FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND))) AS l WHERE EXISTS (SELECT * FROM (SELECT * FROM TABLE(TUMBLE(TABLE payments, DESCRIPTOR(pts), INTERVAL '10' SECOND))) AS r WHERE l.id = r.order_id AND l.window_start = r.window_start AND l.window_end = r.window_end);
-- window anti join
SELECT l.id FROM (SELECT * FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND))) AS l WHERE NOT EXISTS (SELECT * FROM (SELECT * FROM TABLE(TUMBLE(TABLE payments, DESCRIPTOR(pts), INTERVAL '10' SECOND))) AS r WHERE l.id = r.order_id AND l.window_start = r.window_start AND l.window_end = r.window_end);
-- temporal join
SELECT p.pay, p.paid * v.rate AS worth FROM payments AS p JOIN versions FOR SYSTEM_TIME AS OF p.pts AS v ON p.means = v.means;
-- temporal left join
SELECT p.pay, v.rate FROM payments AS p LEFT JOIN versions FOR SYSTEM_TIME AS OF p.pts AS v ON p.means = v.means;
-- top 2
SELECT cust, id, amount, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY cust ORDER BY amount DESC, id) AS rn FROM orders) WHERE rn <= 2;
-- top 2 without rank
SELECT cust, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY cust ORDER BY qty, id DESC) AS rn FROM orders) WHERE rn <= 2;
-- top of aggregates
SELECT cust, n FROM (SELECT *, ROW_NUMBER() OVER (ORDER BY n DESC, cust) AS rn FROM (SELECT cust, COUNT(*) AS n FROM orders GROUP BY cust)) WHERE rn <= 2;
-- top of changes
SELECT team, id, points FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY team ORDER BY points DESC, id) AS rn FROM changes) WHERE rn <= 1;
-- rank range
SELECT cust, id, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY cust ORDER BY id) AS rn FROM orders) WHERE rn BETWEEN 2 AND 3;
-- order by limit
SELECT id, amount FROM orders ORDER BY amount DESC, id LIMIT 3;
-- order by limit offset
SELECT id, amount FROM orders ORDER BY amount, id LIMIT 3 OFFSET 2;
-- nulls first
SELECT id, price FROM orders ORDER BY price, id LIMIT 4;
-- order by time
SELECT id, ts FROM orders ORDER BY ts;
-- limit
SELECT id FROM orders LIMIT 3;
-- keep first
SELECT cust, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY cust ORDER BY ts) AS rn FROM orders) WHERE rn = 1;
-- keep last
SELECT cust, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY cust ORDER BY ts DESC) AS rn FROM orders) WHERE rn = 1;
-- window top 1
SELECT window_start, cust, s FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY s DESC, cust) AS rn FROM (SELECT window_start, window_end, cust, SUM(amount) AS s FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '20' SECOND)) GROUP BY window_start, window_end, cust)) WHERE rn <= 1;
-- window dedup
SELECT window_start, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY ts DESC) AS rn FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '20' SECOND))) WHERE rn <= 1;
-- over rows
SELECT id, SUM(qty) OVER w AS s, COUNT(*) OVER w AS n, AVG(price) OVER w AS a FROM orders WINDOW w AS (PARTITION BY cust ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW);
-- over range
SELECT id, SUM(amount) OVER w AS s, MIN(id) OVER w AS m FROM orders WINDOW w AS (PARTITION BY cust ORDER BY ts RANGE BETWEEN INTERVAL '10' SECOND PRECEDING AND CURRENT ROW);
-- over unbounded
SELECT id, COUNT(*) OVER w AS n, MAX(amount) OVER w AS m FROM orders WINDOW w AS (ORDER BY ts);
-- over first and last
SELECT id, FIRST_VALUE(id) OVER w AS f, LAST_VALUE(qty) OVER w AS l FROM orders WINDOW w AS (PARTITION BY cust ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW);
-- over lag
SELECT id, LAG(id) OVER w AS l, LAG(id, 2, 0) OVER w AS k FROM orders WINDOW w AS (PARTITION BY cust ORDER BY ts);
-- unnest array
SELECT id, x FROM orders CROSS JOIN UNNEST(ARRAY[qty, id]) AS u (x) WHERE id < 4;
-- unnest map
SELECT id, k, v FROM orders CROSS JOIN UNNEST(MAP['a', qty, 'b', id]) AS u (k, v) WHERE id < 3;
-- unnest ordinality
SELECT id, x, o FROM orders CROSS JOIN UNNEST(ARRAY[qty, id]) WITH ORDINALITY AS u (x, o) WHERE id < 3;
-- left unnest
SELECT cust, x FROM (SELECT cust, ARRAY_AGG(qty) AS a FROM orders GROUP BY cust) LEFT JOIN UNNEST(a) AS u (x) ON TRUE;
-- with
WITH big AS (SELECT * FROM orders WHERE qty > 2), few AS (SELECT cust, COUNT(*) AS n FROM big GROUP BY cust) SELECT b.id, s.n FROM big AS b JOIN few AS s ON b.cust = s.cust;
-- values
SELECT a, b FROM (VALUES (1, 'x'), (2, 'y'), (CAST(NULL AS INT), 'z')) AS t (a, b);
-- match recognize
SELECT * FROM ticks MATCH_RECOGNIZE (PARTITION BY symbol ORDER BY tick MEASURES FIRST(A.tick) AS started, LAST(A.tick) AS ended, AVG(A.price) AS average, COUNT(A.price) AS n ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW PATTERN (A+ B) DEFINE A AS AVG(A.price) < 15) AS m;
-- match recognize falls
SELECT * FROM ticks MATCH_RECOGNIZE (PARTITION BY symbol ORDER BY tick MEASURES S.tick AS s, LAST(D.price) AS bottom, LAST(U.price) AS top ONE ROW PER MATCH AFTER MATCH SKIP TO LAST U PATTERN (S D+ U) DEFINE D AS (LAST(D.price, 1) IS NULL AND D.price < S.price) OR D.price < LAST(D.price, 1), U AS U.price > LAST(D.price, 1)) AS m;
-- match recognize next row
SELECT * FROM ticks MATCH_RECOGNIZE (PARTITION BY symbol ORDER BY tick MEASURES A.price AS a, C.price AS c ONE ROW PER MATCH AFTER MATCH SKIP TO NEXT ROW PATTERN (A B{1,2}? C) DEFINE B AS B.price < A.price, C AS C.price > A.price) AS m;
-- scalar subquery by a comparison
SELECT id, qty FROM orders AS o WHERE qty >= (SELECT AVG(b.qty) FROM orders AS b WHERE b.id < o.id);
-- count by a comparison
SELECT id, (SELECT COUNT(*) FROM payments AS p WHERE p.order_id < o.id) AS n FROM orders AS o;
-- exists by a comparison as a column
SELECT id, EXISTS (SELECT 1 FROM payments AS p WHERE p.order_id > o.id) AS e FROM orders AS o;
-- subquery two levels up
SELECT name FROM customers AS c WHERE EXISTS (SELECT 1 FROM orders AS o WHERE o.cust = c.name AND EXISTS (SELECT 1 FROM payments AS p WHERE p.order_id = o.id AND p.order_id > c.tier));
-- subquery in group by
SELECT (SELECT MAX(c.tier) FROM customers AS c WHERE c.name = o.cust) AS tier, COUNT(*) AS n FROM orders AS o GROUP BY (SELECT MAX(c.tier) FROM customers AS c WHERE c.name = o.cust);
-- subquery in having
SELECT cust, SUM(qty) AS s FROM orders GROUP BY cust HAVING SUM(qty) > (SELECT MIN(tier) FROM customers);
-- subquery in order by
SELECT id FROM orders ORDER BY qty - (SELECT MIN(tier) FROM customers), id LIMIT 3;
-- subquery in case
SELECT id, CASE WHEN cust IN (SELECT name FROM customers) THEN 'known' ELSE 'unknown' END AS k FROM orders;
-- subquery in on of a left join
SELECT o.id, c.city FROM orders AS o LEFT JOIN customers AS c ON o.cust = c.name AND c.tier > (SELECT MIN(tier) FROM customers);
-- rows in
SELECT pay FROM payments WHERE (order_id, paid) IN (SELECT id, amount FROM orders);
-- more than any
SELECT id, qty > ANY (SELECT tier FROM customers WHERE tier IS NOT NULL) AS a FROM orders;
-- at least all
SELECT id FROM orders WHERE qty >= ALL (SELECT tier FROM customers WHERE tier IS NOT NULL);
-- some
SELECT id FROM orders WHERE qty = SOME (SELECT tier FROM customers);
