-- title: match_recognize
SELECT * FROM orders MATCH_RECOGNIZE (
  PARTITION BY player
  ORDER BY `time`, id DESC
  MEASURES FIRST(A.shares) AS first_shares, LAST(B.shares, 1) + 1 AS s, SUM(B.shares * 2) AS total, COUNT(A.*) AS n,
    MATCH_ROWTIME() AS mt
  AFTER MATCH SKIP TO LAST B
  PATTERN (A+ B{2,3}? C?) WITHIN INTERVAL '1' MINUTE
  DEFINE A AS A.shares > 10, B AS B.shares < LAST(A.shares, 1) AND AVG(shares) > 5
) AS m;

-- title: match_recognize by processing time
SELECT n FROM orders MATCH_RECOGNIZE (
  ORDER BY pt MEASURES COUNT(*) AS n, MATCH_PROCTIME() AS p PATTERN (A (B | C)+ D) DEFINE D AS shares = 0
);

-- title: window over matches
SELECT window_start, player, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE (
  SELECT * FROM orders MATCH_RECOGNIZE (
    PARTITION BY player ORDER BY `time` MEASURES MATCH_ROWTIME(`time`) AS mt
    AFTER MATCH SKIP PAST LAST ROW PATTERN (A B) DEFINE B AS B.shares > A.shares
  )
), DESCRIPTOR(mt), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, player;
