CREATE TABLE orders (
    id INT, cust STRING, amount DECIMAL(10, 2), qty INT, price DOUBLE, ts TIMESTAMP(3),
    WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${data}/orders.csv', 'format' = 'csv', 'csv.null-literal' = 'NULL');

CREATE TABLE payments (
    pay INT, order_id INT, paid DECIMAL(10, 2), means STRING, pts TIMESTAMP(3),
    WATERMARK FOR pts AS pts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${data}/payments.csv', 'format' = 'csv', 'csv.null-literal' = 'NULL');

CREATE TABLE customers (name STRING, city STRING, tier INT)
WITH ('connector' = 'filesystem', 'path' = '${data}/customers.csv', 'format' = 'csv', 'csv.null-literal' = 'NULL');

CREATE TABLE rates (
    means STRING, rate DOUBLE, rts TIMESTAMP(3), WATERMARK FOR rts AS rts
) WITH ('connector' = 'filesystem', 'path' = '${data}/rates.csv', 'format' = 'csv', 'csv.null-literal' = 'NULL');

CREATE TABLE changes (id INT, team STRING, points INT)
WITH ('connector' = 'filesystem', 'path' = '${data}/changes.json', 'format' = 'debezium-json');

CREATE TABLE ticks (
    symbol STRING, tax INT, price INT, tick TIMESTAMP(3), WATERMARK FOR tick AS tick - INTERVAL '20' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${data}/ticks.csv', 'format' = 'csv');

CREATE VIEW versions AS
SELECT means, rate, rts FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY means ORDER BY rts DESC) AS n FROM rates
) WHERE n = 1;
