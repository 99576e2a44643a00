-- Kafka in, Kafka out: orders become revenue by the minute, and totals that are always up to date. Needs a broker at localhost:9092, for instance
--   docker compose -f examples/compose.yaml up -d --wait
-- and goes on until Ctrl-C:
--   streamsql run examples/kafka_to_kafka.sql
-- Meanwhile, in another terminal, with the CREATE statements of this file in tables.sql:
--   streamsql sql -i tables.sql "SELECT * FROM totals"

CREATE TABLE made_up (
  id BIGINT,
  product_number INT,
  price DECIMAL(6, 2)
) WITH (
  'connector' = 'datagen',
  'rows-per-second' = '100',
  'fields.id.kind' = 'sequence',
  'fields.id.start' = '1',
  'fields.id.end' = '1000000000',
  'fields.product_number.min' = '1',
  'fields.product_number.max' = '3',
  'fields.price.min' = '0.50',
  'fields.price.max' = '20.00'
);

CREATE TABLE orders (
  id BIGINT,
  product STRING,
  price DECIMAL(6, 2),
  ordered_at TIMESTAMP_LTZ(3),
  WATERMARK FOR ordered_at AS ordered_at - INTERVAL '2' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'orders',
  'properties.bootstrap.servers' = 'localhost:9092',
  'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'raw',
  'key.fields' = 'product',
  'value.format' = 'json'
);

CREATE TABLE revenue (
  product STRING,
  window_start TIMESTAMP(3),
  orders BIGINT,
  revenue DECIMAL(38, 2)
) WITH (
  'connector' = 'kafka',
  'topic' = 'revenue',
  'properties.bootstrap.servers' = 'localhost:9092',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE totals (
  product STRING,
  orders BIGINT,
  revenue DECIMAL(38, 2),
  PRIMARY KEY (product) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'totals',
  'properties.bootstrap.servers' = 'localhost:9092',
  'key.format' = 'raw',
  'value.format' = 'json'
);

-- One job fills the topic of orders; in a real life, a shop does.
INSERT INTO orders
SELECT id, ELT(product_number, 'banana', 'kiwi', 'mango'), price, CURRENT_TIMESTAMP FROM made_up;

-- The other reads it once, for both answers.
EXECUTE STATEMENT SET
BEGIN
  INSERT INTO revenue
  SELECT product, window_start, COUNT(*), SUM(price)
  FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ordered_at), INTERVAL '1' MINUTE))
  GROUP BY product, window_start, window_end;
  INSERT INTO totals
  SELECT product, COUNT(*), SUM(price) FROM orders GROUP BY product;
END;
