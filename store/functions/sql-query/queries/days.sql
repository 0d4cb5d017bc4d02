-- The days from one to another, and which of them are working days: a query that needs no
-- table. Write your own beside it. A parameter is text, so say what it is of.
SELECT to_char(day, 'YYYY-MM-DD') AS day, extract(isodow FROM day) < 6 AS working
FROM generate_series(@first::date, @last::date, interval '1 day') AS day
ORDER BY day
