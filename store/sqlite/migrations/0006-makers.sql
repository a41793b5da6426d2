-- Who made a key: a key's id, 'operator' where none was needed, '' where the log does not say.
PRAGMA user_version = 6;

ALTER TABLE keys ADD COLUMN maker TEXT NOT NULL DEFAULT '';

-- Keys that are there have it in the record of their making.
UPDATE keys SET maker = made.maker
    FROM (SELECT key AS maker,
                 CASE WHEN json_valid(CAST(record AS TEXT)) THEN CAST(record AS TEXT) END AS said
            FROM audit) AS made
    WHERE keys.id = json_extract(made.said, '$.target')
      AND json_extract(made.said, '$.action') IN ('key.create', 'operator.create')
      AND json_extract(made.said, '$.outcome') = 'ok';
