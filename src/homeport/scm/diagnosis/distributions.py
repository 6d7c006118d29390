"""Which requirement brings a module, where the two have different names."""

from collections.abc import Iterable, Mapping

from packaging.utils import canonicalize_name

_DISTRIBUTIONS: Mapping[str, str] = {
    "Crypto": "pycryptodome",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "PIL": "Pillow",
    "allauth": "django-allauth",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "corsheaders": "django-cors-headers",
    "crispy_forms": "django-crispy-forms",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "debug_toolbar": "django-debug-toolbar",
    "decouple": "python-decouple",
    "dj_database_url": "dj-database-url",
    "django_filters": "django-filter",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "environ": "django-environ",
    "fitz": "PyMuPDF",
    "flask_cors": "Flask-Cors",
    "flask_login": "Flask-Login",
    "flask_migrate": "Flask-Migrate",
    "flask_sqlalchemy": "Flask-SQLAlchemy",
    "flask_wtf": "Flask-WTF",
    "git": "GitPython",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "ldap": "python-ldap",
    "magic": "python-magic",
    "markdown": "Markdown",
    "multipart": "python-multipart",
    "nacl": "PyNaCl",
    "pkg_resources": "setuptools",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "pymysql": "PyMySQL",
    "rest_framework": "djangorestframework",
    "rest_framework_simplejwt": "djangorestframework-simplejwt",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "socketio": "python-socketio",
    "storages": "django-storages",
    "telegram": "python-telegram-bot",
    "win32api": "pywin32",
    "xlsxwriter": "XlsxWriter",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
_NAMESPACES: Mapping[str, str] = {
    "azure.storage.blob": "azure-storage-blob",
    "azure.identity": "azure-identity",
    "azure.keyvault": "azure-keyvault-secrets",
    "azure.cosmos": "azure-cosmos",
    "google.cloud.storage": "google-cloud-storage",
    "google.protobuf": "protobuf",
    "google.auth": "google-auth",
}


def distribution_of(module: str) -> str:
    """Return the requirement that usually brings a module: by the table, else the module's own name."""
    for name, distribution in _NAMESPACES.items():
        if module == name or module.startswith(name + "."):
            return distribution
    top = module.partition(".")[0]
    return _DISTRIBUTIONS.get(top, top.replace("_", "-"))


def requirement_for(module: str, lines: Iterable[tuple[int, str]]) -> tuple[int, str] | None:
    """Find the line of requirements.txt that brings a module."""
    wanted = {canonicalize_name(distribution_of(module)), canonicalize_name(module.partition(".")[0])}
    from homeport.scm.checking.packages import required_names

    return next(((number, line) for number, line in lines if required_names([line]) & wanted), None)


def install_command(python_folder: str, what: str) -> str:
    """Return the command for the console that installs something into the site's Python."""
    return rf"D:\home\{python_folder or 'PYTHON'}\python.exe -m pip install {what}"
