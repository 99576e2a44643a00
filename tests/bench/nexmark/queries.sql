-- q0 pass through
SELECT auction, bidder, price, dateTime, extra FROM bid;
-- q1 currency
SELECT auction, bidder, 0.908 * price AS price, dateTime, extra FROM bid;
-- q2 selection
SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0;
-- q3 items nearby
SELECT p.name, p.city, p.state, a.id
FROM auction AS a JOIN person AS p ON a.seller = p.id
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA');
-- q4 average price of a category
SELECT category, AVG(final) AS average
FROM (
    SELECT MAX(b.price) AS final, a.category
    FROM auction AS a, bid AS b
    WHERE a.id = b.auction AND b.dateTime BETWEEN a.dateTime AND a.expires
    GROUP BY a.id, a.category
)
GROUP BY category;
-- q5 hot items
SELECT counts.auction, counts.num
FROM (
    SELECT auction, COUNT(*) AS num, window_start, window_end
    FROM TABLE(HOP(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
    GROUP BY auction, window_start, window_end
) AS counts
JOIN (
    SELECT MAX(num) AS num, window_start, window_end
    FROM (
        SELECT COUNT(*) AS num, window_start, window_end
        FROM TABLE(HOP(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
        GROUP BY auction, window_start, window_end
    )
    GROUP BY window_start, window_end
) AS most
ON counts.window_start = most.window_start AND counts.window_end = most.window_end AND counts.num >= most.num;
-- q6 average price of a seller
SELECT seller, AVG(price) OVER (PARTITION BY seller ORDER BY dateTime ROWS BETWEEN 10 PRECEDING AND CURRENT ROW) AS average
FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY id, seller ORDER BY price DESC, dateTime) AS place
    FROM (
        SELECT a.id, a.seller, b.price, b.dateTime
        FROM auction AS a, bid AS b
        WHERE a.id = b.auction AND b.dateTime BETWEEN a.dateTime AND a.expires
    )
)
WHERE place <= 1;
-- q7 highest bid
SELECT b.auction, b.price, b.bidder, b.dateTime, b.extra
FROM bid AS b
JOIN (
    SELECT MAX(price) AS price, window_end AS ended
    FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(dateTime), INTERVAL '10' SECOND))
    GROUP BY window_start, window_end
) AS m
ON b.price = m.price AND b.dateTime BETWEEN m.ended - INTERVAL '10' SECOND AND m.ended;
-- q8 new users
SELECT p.id, p.name, p.window_start
FROM (
    SELECT id, name, window_start, window_end
    FROM TABLE(TUMBLE(TABLE person, DESCRIPTOR(dateTime), INTERVAL '10' SECOND))
    GROUP BY id, name, window_start, window_end
) AS p
JOIN (
    SELECT seller, window_start, window_end
    FROM TABLE(TUMBLE(TABLE auction, DESCRIPTOR(dateTime), INTERVAL '10' SECOND))
    GROUP BY seller, window_start, window_end
) AS a
ON p.id = a.seller AND p.window_start = a.window_start AND p.window_end = a.window_end;
-- q9 winning bids
SELECT id, itemName, description, initialBid, reserve, opened, expires, seller, category, extra,
    auction, bidder, price, dateTime
FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY price DESC, dateTime, bidder) AS place
    FROM (
        SELECT a.id, a.itemName, a.description, a.initialBid, a.reserve, a.dateTime AS opened, a.expires, a.seller,
            a.category, a.extra, b.auction, b.bidder, b.price, b.dateTime
        FROM auction AS a, bid AS b
        WHERE a.id = b.auction AND b.dateTime BETWEEN a.dateTime AND a.expires
    )
)
WHERE place <= 1;
-- q10 log by day
SELECT auction, bidder, price, dateTime, extra, DATE_FORMAT(dateTime, 'yyyy-MM-dd') AS dt,
    DATE_FORMAT(dateTime, 'HH:mm') AS hm
FROM bid;
-- q11 user sessions
SELECT bidder, COUNT(*) AS bids, window_start, window_end
FROM TABLE(SESSION(TABLE bid PARTITION BY bidder, DESCRIPTOR(dateTime), INTERVAL '10' SECOND))
GROUP BY bidder, window_start, window_end;
-- q12 windows by the clock
SELECT bidder, COUNT(*) AS bids
FROM TABLE(TUMBLE((SELECT *, PROCTIME() AS at_clock FROM bid), DESCRIPTOR(at_clock), INTERVAL '10' SECOND))
GROUP BY bidder, window_start, window_end;
-- q13 side input
SELECT b.auction, b.bidder, b.price, b.dateTime, s.label
FROM (SELECT *, PROCTIME() AS at_clock FROM bid) AS b
JOIN side_input FOR SYSTEM_TIME AS OF b.at_clock AS s ON MOD(b.auction, 10000) = s.id;
-- q14 calculation
SELECT auction, bidder, 0.908 * price AS price,
    CASE
        WHEN HOUR(dateTime) >= 8 AND HOUR(dateTime) <= 18 THEN 'day'
        WHEN HOUR(dateTime) <= 6 OR HOUR(dateTime) >= 20 THEN 'night'
        ELSE 'other'
    END AS part, dateTime, extra, count_char(extra, 'c') AS cs
FROM bid
WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000;
-- q15 bidding statistics
SELECT DATE_FORMAT(dateTime, 'yyyy-MM-dd') AS dt, COUNT(*) AS bids,
    COUNT(*) FILTER (WHERE price < 10000) AS low, COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle,
    COUNT(*) FILTER (WHERE price >= 1000000) AS high, COUNT(DISTINCT bidder) AS bidders,
    COUNT(DISTINCT bidder) FILTER (WHERE price < 10000) AS low_bidders,
    COUNT(DISTINCT bidder) FILTER (WHERE price >= 1000000) AS high_bidders, COUNT(DISTINCT auction) AS auctions,
    COUNT(DISTINCT auction) FILTER (WHERE price < 10000) AS low_auctions,
    COUNT(DISTINCT auction) FILTER (WHERE price >= 1000000) AS high_auctions
FROM bid
GROUP BY DATE_FORMAT(dateTime, 'yyyy-MM-dd');
-- q16 channel statistics
SELECT channel, DATE_FORMAT(dateTime, 'yyyy-MM-dd') AS dt, MAX(DATE_FORMAT(dateTime, 'HH:mm')) AS last_minute,
    COUNT(*) AS bids, COUNT(*) FILTER (WHERE price < 10000) AS low, COUNT(DISTINCT bidder) AS bidders,
    COUNT(DISTINCT bidder) FILTER (WHERE price < 10000) AS low_bidders, COUNT(DISTINCT auction) AS auctions,
    COUNT(DISTINCT auction) FILTER (WHERE price >= 1000000) AS high_auctions
FROM bid
GROUP BY channel, DATE_FORMAT(dateTime, 'yyyy-MM-dd');
-- q17 auction statistics
SELECT auction, DATE_FORMAT(dateTime, 'yyyy-MM-dd') AS dt, COUNT(*) AS bids,
    COUNT(*) FILTER (WHERE price < 10000) AS low, COUNT(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle,
    COUNT(*) FILTER (WHERE price >= 1000000) AS high, MIN(price) AS least, MAX(price) AS most, AVG(price) AS average,
    SUM(price) AS total
FROM bid
GROUP BY auction, DATE_FORMAT(dateTime, 'yyyy-MM-dd');
-- q18 last bid
SELECT auction, bidder, price, channel, url, dateTime, extra
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY dateTime DESC) AS place FROM bid)
WHERE place <= 1;
-- q19 ten best bids
SELECT *
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS place FROM bid)
WHERE place <= 10;
-- q20 bids with their auctions
SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.dateTime, b.extra, a.itemName, a.description, a.initialBid,
    a.reserve, a.dateTime AS opened, a.expires, a.seller, a.category
FROM bid AS b JOIN auction AS a ON b.auction = a.id
WHERE a.category = 10;
-- q21 channel ids
SELECT auction, bidder, price, channel,
    CASE
        WHEN LOWER(channel) = 'apple' THEN '0'
        WHEN LOWER(channel) = 'google' THEN '1'
        WHEN LOWER(channel) = 'facebook' THEN '2'
        WHEN LOWER(channel) = 'baidu' THEN '3'
        ELSE REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2)
    END AS channel_id
FROM bid
WHERE REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2) IS NOT NULL
    OR LOWER(channel) IN ('apple', 'google', 'facebook', 'baidu');
-- q22 directories of a page
SELECT auction, bidder, price, channel, SPLIT_INDEX(url, '/', 3) AS dir1, SPLIT_INDEX(url, '/', 4) AS dir2,
    SPLIT_INDEX(url, '/', 5) AS dir3
FROM bid;
-- q23 bidders who sell
SELECT b.bidder, b.price, b.channel, b.url, b.extra AS bid_extra, p.id, p.name, p.emailAddress, p.creditCard, p.city,
    p.state, p.extra AS person_extra, a.itemName, a.description, a.initialBid, a.reserve, a.dateTime AS opened, a.expires,
    a.seller, a.category, a.extra AS auction_extra
FROM bid AS b JOIN person AS p ON p.id = b.bidder JOIN auction AS a ON a.seller = b.bidder;
