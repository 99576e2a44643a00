-- What the jobs read. Of the rows of each table the first half comes before the savepoint.
CREATE TABLE orders (
  id BIGINT,
  customer STRING,
  item STRING,
  amount DECIMAL(10, 2),
  n INT,
  weight DOUBLE,
  paid BOOLEAN,
  raw BYTES,
  day DATE,
  place ROW<city STRING, zip INT>,
  tags ARRAY<STRING>,
  ts TIMESTAMP(3),
  pt AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
);

CREATE TABLE payments (
  order_id BIGINT,
  sum DECIMAL(10, 2),
  how STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
);

-- changelog: I,UA,D
CREATE TABLE prices (
  item STRING,
  price INT,
  ts TIMESTAMP(3),
  PRIMARY KEY (item) NOT ENFORCED,
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
);

-- changelog: I,UB,UA,D
CREATE TABLE stock (
  item STRING,
  shop STRING,
  n INT
);

CREATE VIEW per_customer AS
SELECT customer, COUNT(*) AS n, SUM(amount) AS total FROM orders GROUP BY customer;
