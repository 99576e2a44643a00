-- name: tumble
SELECT window_start, window_end, item, COUNT(*), SUM(amount), MIN(customer), AVG(weight) FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, item;

-- name: tumble with distinct values
SELECT window_end, COUNT(DISTINCT how), MAX(sum) FROM TABLE(TUMBLE(TABLE payments, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;

-- name: hop
SELECT window_end, customer, COUNT(*), MAX(n) FROM TABLE(HOP(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '30' SECOND)) GROUP BY window_start, window_end, customer;

-- name: cumulate
SELECT window_start, window_end, SUM(n) FROM TABLE(CUMULATE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;

-- name: session
SELECT window_start, window_end, customer, COUNT(*), SUM(amount), COUNT(DISTINCT item) FROM TABLE(SESSION(TABLE orders PARTITION BY customer, DESCRIPTOR(ts), INTERVAL '8' SECOND)) GROUP BY window_start, window_end, customer;
