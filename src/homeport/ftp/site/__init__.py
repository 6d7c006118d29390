"""The FTP process of one site: file operations in the site's sandbox, as the site's user."""
