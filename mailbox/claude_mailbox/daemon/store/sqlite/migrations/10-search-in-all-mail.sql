-- The search in all mail has rows of its own: everything is indexed anew, newest first.

INSERT INTO search (search) VALUES ('delete-all');
DELETE FROM search_gap WHERE upto < 9223372036854775807;
INSERT INTO search_gap (upto, above) SELECT above, 0 FROM search_gap WHERE above > 0;
