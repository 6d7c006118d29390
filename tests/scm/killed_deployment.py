"""Runs one deployment and kills its own process at the N-th thing it does to files; says how many there were.

    python killed_deployment.py PACKAGE N switch|keep-folder

The environment is that of an SCM process. N = 0 kills nothing. With `keep-folder` the deployment asks for no restart.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

from homeport.scm.deployments.deployer import Deployer, PushRequest
from homeport.scm.deployments.lock import DEPLOYING, DeploymentLock
from homeport.scm.deployments.store import DeploymentStore
from homeport.scm.hooks import WebHooks
from homeport.scm.options import options_from_environment
from homeport.scm.settings.stack import SettingsProviders

_EVENTS = frozenset(
    {
        "open",
        "os.link",
        "os.rename",
        "os.mkdir",
        "os.remove",
        "os.rmdir",
        "os.scandir",
        "os.utime",
        "os.chmod",
    }
)


def main() -> None:
    """Deploy and maybe die."""
    options = options_from_environment(os.environ)
    lock = DeploymentLock(options.home, instance="")
    store = DeploymentStore(options.home, lock=lock)
    providers, hooks = SettingsProviders(options.home, {}), WebHooks(options.home)
    deployer = Deployer(options, providers=providers, store=store, hooks=hooks)
    last, count = int(sys.argv[2]), 0

    def watch(event: str, details: tuple[object, ...]) -> None:
        nonlocal count
        if event in _EVENTS and str(options.home) in str(details):
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)

    with lock.acquire(DEPLOYING):
        package = deployer.new_package()
        shutil.copyfile(Path(sys.argv[1]), package)
        request = PushRequest(package=package, message="second", restart=sys.argv[3] == "switch")
        sys.addaudithook(watch)
        deployer.run(request, deployer.begin(request))
    print(count)


main()
