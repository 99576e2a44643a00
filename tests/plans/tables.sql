CREATE TABLE orders (
  id BIGINT,
  player STRING,
  shares INT,
  price DECIMAL(10, 2),
  detail ROW<city STRING, zip INT>,
  tags ARRAY<STRING>,
  `time` TIMESTAMP(3),
  pt AS PROCTIME(),
  amount AS shares * price,
  part INT METADATA FROM 'partition' VIRTUAL,
  WATERMARK FOR `time` AS `time` - INTERVAL '5' SECOND
) WITH ('connector' = 'kafka', 'topic' = 'orders', 'properties.bootstrap.servers' = 'localhost:9092',
        'scan.startup.mode' = 'earliest-offset', 'format' = 'json');
CREATE TABLE players (
  name STRING,
  team STRING,
  score BIGINT,
  PRIMARY KEY (name) NOT ENFORCED
) WITH ('connector' = 'upsert-kafka', 'topic' = 'players', 'properties.bootstrap.servers' = 'localhost:9092',
        'key.format' = 'json', 'value.format' = 'json');
CREATE TABLE changes (
  id BIGINT,
  team STRING,
  score BIGINT
) WITH ('connector' = 'kafka', 'topic' = 'changes', 'properties.bootstrap.servers' = 'localhost:9092',
        'scan.startup.mode' = 'earliest-offset', 'format' = 'debezium-json');
CREATE TABLE totals (
  player STRING,
  n BIGINT,
  s INT,
  PRIMARY KEY (player) NOT ENFORCED
) WITH ('connector' = 'upsert-kafka', 'topic' = 'totals', 'properties.bootstrap.servers' = 'localhost:9092',
        'key.format' = 'json', 'value.format' = 'json');
CREATE TABLE plain (player STRING, n BIGINT)
WITH ('connector' = 'kafka', 'topic' = 'plain', 'properties.bootstrap.servers' = 'localhost:9092', 'format' = 'json');
CREATE VIEW ranked AS SELECT player, id, ROW_NUMBER() OVER (PARTITION BY player ORDER BY price) AS place FROM orders;
CREATE VIEW cheapest AS SELECT id, price FROM orders ORDER BY price LIMIT 3;
CREATE VIEW per_player AS SELECT player, COUNT(*) AS n, SUM(shares) AS s FROM orders GROUP BY player;
CREATE VIEW latest AS SELECT player, price, `time` FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY player ORDER BY `time` DESC) AS n FROM orders) WHERE n = 1;
CREATE TABLE teams (
  name STRING,
  city STRING,
  since DATE,
  `year` AS EXTRACT(YEAR FROM since),
  PRIMARY KEY (name) NOT ENFORCED
) WITH ('connector' = 'jdbc', 'url' = 'jdbc:postgresql://localhost:5432/games', 'table-name' = 'teams');
CREATE TABLE prices (item INT, region STRING, price DECIMAL(10, 2))
WITH ('connector' = 'jdbc', 'url' = 'jdbc:postgresql://localhost:5432/games', 'table-name' = 'prices',
      'lookup.cache' = 'PARTIAL');
CREATE TABLE cities (name STRING, zip INT)
WITH ('connector' = 'filesystem', 'path' = '/nowhere', 'format' = 'csv',
      'lookup.full-cache.periodic-reload.interval' = '1 h');
CREATE VIEW old_teams AS SELECT name AS team, city FROM teams WHERE since < DATE '2000-01-01';
