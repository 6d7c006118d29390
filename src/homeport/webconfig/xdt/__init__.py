"""XML Document Transform: changes to a web.config or applicationHost.config written as XML (IIS reference §6).

Pure. Texts come from tenants: nothing is read from elsewhere, and time and growth are bounded.
"""

from homeport.webconfig.xdt.transforming import TransformResult, apply_transform

__all__ = ["TransformResult", "apply_transform"]
