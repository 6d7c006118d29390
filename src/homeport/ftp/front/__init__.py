"""The front: TLS, sign-in and data connections. It opens no file of a site and holds no right to."""
