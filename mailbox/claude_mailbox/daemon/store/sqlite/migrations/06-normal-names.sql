-- Names have one normal form, and are asked for in that alone; older versions kept them as they
-- came. Where two mailboxes differ in nothing else, the younger one, which nobody could reach any
-- more, gets a number.

UPDATE OR IGNORE mailbox SET name = nfc(name) WHERE name <> nfc(name)
    AND NOT EXISTS (SELECT 1 FROM alias WHERE alias.name = nfc(mailbox.name));
UPDATE mailbox SET name = substr(nfc(name), 1, 100) || '-' || id WHERE name <> nfc(name);

UPDATE OR IGNORE alias SET name = nfc(name) WHERE name <> nfc(name)
    AND NOT EXISTS (SELECT 1 FROM mailbox WHERE mailbox.name = nfc(alias.name));
DELETE FROM alias WHERE name <> nfc(name);

UPDATE OR IGNORE deleted_mailbox SET name = nfc(name) WHERE name <> nfc(name);
DELETE FROM deleted_mailbox WHERE name <> nfc(name);

UPDATE OR IGNORE idempotency_key SET sender = nfc(sender) WHERE sender <> nfc(sender);
UPDATE session SET name = nfc(name) WHERE name <> nfc(name);
