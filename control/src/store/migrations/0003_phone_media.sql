-- What an account's phone is offered when it is called.
ALTER TABLE account ADD COLUMN media TEXT NOT NULL DEFAULT 'auto'
    CHECK (media IN ('auto', 'plain', 'srtp', 'dtls', 'webrtc'));
