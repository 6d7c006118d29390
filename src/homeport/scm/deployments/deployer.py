"""A deployment from the stored package to the served content (Kudu reference §3.2, §12).

Whatever goes into the web root is built in a copy of it that shares its files, and takes its place in one step at the
very end; until then nothing that visitors see has changed (see `switching`).

`Deployer.run` is one straight procedure in a thread of its own; the deployment lock is held from before the upload
to the end, so a record that is incomplete while nobody holds the lock belongs to a process that died.
"""

import filecmp
import json
import os
import secrets
import shutil
import sys
import threading
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.model.errors import HomeportError
from homeport.model.finding import Finding, Severity
from homeport.scm.content import Content, list_content
from homeport.scm.deployments.archive import BrokenPackage, UnsafePackage
from homeport.scm.deployments.copying import prepare_sync, run_sync
from homeport.scm.deployments.dot_deployment import parse_dot_deployment
from homeport.scm.deployments.fetching import Unreachable, fetch_package, is_package_address
from homeport.scm.deployments.git_repository import GitFailed, GitRepository
from homeport.scm.deployments.hosting import SitePython, choose_python, compile_content, environment_for
from homeport.scm.deployments.kept import KeptDeployments, KeptRequest
from homeport.scm.deployments.log import DeploymentLog, Kind
from homeport.scm.deployments.python_build import (
    BUILD_COMMANDS,
    BuildFailed,
    BuildRun,
    build_python,
    check_room,
    is_python_site,
)
from homeport.scm.deployments.record import DeploymentRecord, Status, hook_payload
from homeport.scm.deployments.scripts import post_deployment_actions, run_script
from homeport.scm.deployments.site_packages import SitePackages, most_packages, package_setting
from homeport.scm.deployments.store import DeploymentStore, write_manifest
from homeport.scm.deployments.transforming import build_configuration, transform_web_config
from homeport.scm.deployments.trees import look, remove_tree, share_tree, unshare
from homeport.scm.deployments.unpacking import is_below, project_folder, unpack_commit, unpack_package
from homeport.scm.hooks import POST_DEPLOYMENT, WebHooks
from homeport.scm.options import ScmOptions
from homeport.scm.settings.stack import Settings, SettingsProviders
from homeport.windows.paths import windows_text

if TYPE_CHECKING:
    from homeport.webconfig import HostingPlan

_HTTP_SECONDS = 100
_SHOWN_NAMES = 20
_MOST_DOT_DEPLOYMENT = 64 * 1024
_KINDS = {Severity.INFO: Kind.MESSAGE, Severity.WARNING: Kind.WARNING, Severity.ERROR: Kind.ERROR}


class Stopped(Exception):
    """The SCM site ends; the deployment cannot go on."""


class _Unchanged(Exception):
    """The package is the one that the site has."""


class PackageFailed(Exception):
    """The package could not be fetched or unpacked; the temporary record stays, as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """What the caller asked for.

    `package` is the stored package's path; `address` is where it is to be fetched from. `target` is the folder it goes
    into (None: the web root). With `artifact` the package is no zip but one file, of that name. `carries` leaves the
    list of deployed files as it was, `restart` recycles the site's processes, `builds` is what applies where no
    setting says whether to build, `again` is the id of the record that is carried out once more. With `commit` there is
    no package: the files are those of a commit of the site's repository. `unless` is a package that the site has
    already: a fetched one that equals it is not deployed. `follow` hears the log.
    """

    package: Path
    address: str | None = None
    deployer: str = "ZipDeploy"
    author: str | None = None
    author_email: str | None = None
    message: str = "Created via a push deployment"
    tracking_id: str | None = None
    clean: bool = False
    target: Path | None = None
    artifact: str | None = None
    carries: bool = False
    restart: bool = True
    builds: bool = False
    again: str | None = None
    commit: str | None = None
    unless: Path | None = None
    follow: Callable[[str], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One deployment under way: `target` is written to, and is or becomes `place`.

    `uncovers` brings the content back that a package had hidden; `packaged` says that packages in the content change.
    """

    request: PushRequest
    record: DeploymentRecord
    log: DeploymentLog
    source: Path
    place: Path
    target: Path
    settings: Settings
    manifest: Collection[str] | None = None
    uncovers: bool = False
    packaged: bool = False


class Deployer:
    """Runs the deployments of one site. `follow_content` returns once visitors get what was deployed."""

    def __init__(
        self,
        options: ScmOptions,
        *,
        providers: SettingsProviders,
        store: DeploymentStore,
        hooks: WebHooks,
        follow_content: Callable[[], None] = lambda: None,
    ) -> None:
        self._options = options
        self._follow_content = follow_content
        self._hooks = hooks
        self._providers = providers
        self._store = store
        self._switch = store.switch
        self._kept = KeptDeployments(options.home, store)
        self._packages = SitePackages(options.home)
        self._repository = GitRepository(options.home, environment=options.environment)
        self._stop = threading.Event()

    def stop(self) -> None:
        """Let a running deployment fail soon: the process ends."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Tell whether the process ends."""
        return self._stop.is_set()

    def new_package(self) -> Path:
        """Return the path of a new package in a folder of its own."""
        folder = self._options.staging / uuid.uuid4().hex
        folder.mkdir(parents=True)
        return folder / "package.zip"

    def load_check(self) -> None:
        """Load what the check of deployed content needs, so that it is there when the package is."""
        import homeport.scm.checking.content  # noqa: F401 — late: an SCM site that nobody deploys to does without

    def discard(self, package: Path) -> None:
        """Remove a package and whatever was unpacked beside it."""
        shutil.rmtree(package.parent, ignore_errors=True)

    def clear_staging(self) -> None:
        """Finish or remove what deployments that died left behind; only for who holds the lock."""
        self._store.recover()
        shutil.rmtree(self._options.staging, ignore_errors=True)

    def begin(self, request: PushRequest) -> DeploymentRecord:
        """Store the temporary record that stands for the deployment until its package is unpacked."""
        now = datetime.now(UTC)
        record = DeploymentRecord(
            id=f"temp-{secrets.token_hex(4)}",
            status=Status.PENDING,
            status_text="Receiving changes.",
            received=now,
            start=now,
            deployer=request.deployer,
            author=request.author,
            author_email=request.author_email,
            message=request.message,
            is_temp=True,
            is_readonly=True,
        )
        self._store.write(record)
        self._store.log(record.id).entry("Fetching changes.")
        return record

    def run(self, request: PushRequest, temporary: DeploymentRecord) -> None:
        """Deploy; raises `UnsafePackage` or `PackageFailed`, while a failing build only shows in the record."""
        try:
            source = self._unpack(request, temporary, self._store.log(temporary.id))
            self._deploy(self._register(request, temporary, source))
        except _Unchanged:
            self._store.remove(temporary.id)
        finally:
            self.discard(request.package)

    def run_again(self, request: PushRequest, record: DeploymentRecord) -> None:
        """Carry a kept deployment out once more, in its own record; whatever fails shows there."""
        log = self._store.log(record.id)
        log.clear()
        log.follow(request.follow)
        again = record.again(text=f"Building and Deploying '{record.id}'.", at=datetime.now(UTC))
        self._store.write(again)
        try:
            source = self._unpack(request, again, log)
            self._deploy(self._register(request, again, source))
        except (UnsafePackage, PackageFailed):
            return  # the record says so
        finally:
            self.discard(request.package)

    def checkpoint(self) -> None:
        """Raise `Stopped` where the process is to end."""
        if self._stop.is_set():
            raise Stopped("The SCM site was stopped while the deployment ran. Please deploy again.")

    def _unpack(self, request: PushRequest, temporary: DeploymentRecord, log: DeploymentLog) -> Path:
        settings = self._providers.current()
        try:
            if request.address is not None:
                seconds = settings.number("SCM_HTTPCLIENT_TIMEOUT", default=_HTTP_SECONDS)
                fetch_package(
                    request.address, request.package, timeout_seconds=seconds, checkpoint=self.checkpoint
                )
                if request.unless is not None and filecmp.cmp(request.package, request.unless, shallow=False):
                    raise _Unchanged
            return self._extract(request, log, settings)
        except (UnsafePackage, BrokenPackage, Unreachable, GitFailed, Stopped, OSError) as error:
            self.discard(request.package)  # first of all: the disk may be full
            text = error.message if isinstance(error, UnsafePackage) else _reason(error)
            log.error(text)
            self._store.end(temporary.moved(Status.FAILED, text=text, at=datetime.now(UTC)))
            if isinstance(error, UnsafePackage):
                raise
            raise PackageFailed(text) from error

    def _extract(self, request: PushRequest, log: DeploymentLog, settings: Settings) -> Path:
        package = request.package
        target = package.with_name("extracted")
        if request.commit is not None:
            self._check_out(request.commit, target, log, settings)
            return target
        if request.artifact is None:
            log.entry(
                "Cleaning up temp folders from previous zip deployments and extracting pushed zip file "
                f"({package.stat().st_size / 1024**2:.2f} MB)."
            )
        unpack_package(
            package, target, artifact=request.artifact, settings=settings, checkpoint=self.checkpoint
        )
        return target

    def _check_out(self, commit: str, target: Path, log: DeploymentLog, settings: Settings) -> None:
        log.entry(f"Updating branch '{commit}'.")
        odd = unpack_commit(self._repository, commit, target, settings=settings, checkpoint=self.checkpoint)
        for name in odd[:_SHOWN_NAMES]:
            log.child(
                f"'{name}' is a symbolic link or a submodule: it is deployed as a plain file or an empty folder.",
                Kind.WARNING,
            )
        self._repository.update_working_copy(commit)

    def _register(self, request: PushRequest, temporary: DeploymentRecord, source: Path) -> _Work:
        """Make the real record out of the temporary one; at every moment one of them says that work goes on."""
        record = temporary if request.again else self._named(request, temporary)
        self._store.write(record)
        log = self._store.log(record.id)
        log.follow(request.follow)
        log.entry("Updating submodules.")
        if record.id != temporary.id:
            self._store.remove(temporary.id)
        defaults = {"SCM_DO_BUILD_DURING_DEPLOYMENT": str(request.builds)}
        settings = self._providers.current(deployment=dot_deployment(source), defaults=defaults)
        below = project_folder(source, settings) if request.artifact is None else source
        place = request.target or self._target(settings)
        return _Work(
            request=request,
            record=record,
            log=log,
            source=below,
            place=place,
            target=place,
            settings=settings,
        )

    def _named(self, request: PushRequest, temporary: DeploymentRecord) -> DeploymentRecord:
        identity = request.tracking_id or uuid.uuid4().hex
        text = f"Building and Deploying '{identity}'."
        return replace(
            temporary,
            id=identity,
            is_temp=False,
            is_readonly=False,
            start=datetime.now(UTC),
            status_text=text,
        )

    def _target(self, settings: Settings) -> Path:
        below = (settings.get("SCM_TARGET_PATH") or "").replace("\\", "/").strip("/")
        return self._options.web_root / below

    def _deploy(self, work: _Work) -> None:
        log, record = work.log, work.record
        log.entry(f"Preparing deployment for commit id '{record.id[:10]}'.")
        try:
            self._keep(work)
            record = self._moved(record, Status.BUILDING, record.status_text)
            log.entry("Generating deployment script.")
            log.child("Homeport deploys without a script: it copies and builds by itself.")
            record = self._moved(record, Status.DEPLOYING, f"Deploying '{record.id}'.")
            log.entry("Running deployment command...")
            work = self._command(self._staged(work))
            self._after(work)
            self.checkpoint()
            self._recycle(work)
            self._commit(work)
            self._follow_content()
        # A process watcher: whatever stops a deployment ends as its record's failure, never as a record in limbo.
        except Exception as error:  # noqa: BLE001
            self._switch.abandon()
            text = error.message if isinstance(error, HomeportError) else _reason(error)
            self.discard(work.request.package)
            if isinstance(error, OSError):
                self._kept.forget_package(record.id)
            log.error(text)
            log.entry("Deployment Failed.", Kind.ERROR)
            self._tell(self._moved(record, Status.FAILED, text))
            return
        log.entry("Deployment successful.")
        self._store.activate(record.id)
        record = self._moved(record, Status.SUCCESS, "")
        self._switch.finish()
        self._tell(record)

    def _tell(self, record: DeploymentRecord) -> None:
        """Tell the web hooks how a deployment ended; that they cannot be told does not change how it did."""
        names = (self._options.site, self._options.hostname)
        payload = json.dumps(hook_payload(record, site=names[0], hostname=names[1])).encode()
        try:
            self._hooks.publish(POST_DEPLOYMENT, payload)
        except (HomeportError, OSError) as error:
            print(f"The web hooks could not be told of {record.id}: {error}", file=sys.stderr)  # noqa: T201

    def _moved(self, record: DeploymentRecord, status: Status, text: str) -> DeploymentRecord:
        moved = record.moved(status, text=text, at=datetime.now(UTC))
        (self._store.end if moved.complete else self._store.write)(moved)
        return moved

    def _keep(self, work: _Work) -> None:
        request = work.request
        target = request.target
        kept = KeptRequest(
            target=None if target is None else target.relative_to(self._options.home).as_posix(),
            artifact=request.artifact,
            clean=request.clean,
            carries=request.carries,
            restart=request.restart,
            commit=request.commit,
            builds=request.builds,
        )
        self._kept.keep(work.record.id, request.package, kept)

    def _staged(self, work: _Work) -> _Work:
        """Let content of the web root be written aside; a single file takes its place in one step anyway."""
        root = self._options.web_root
        one_step = work.request.artifact is not None and not work.request.clean and not self._actions(work)
        if not work.place.is_relative_to(root):
            return work
        if one_step:
            self._switch.note_brought(
                [(work.place / (work.request.artifact or "")).relative_to(root).as_posix()]
            )
            return work
        hidden = self._packages.hidden()
        if self._is_run_from(work):
            self._packages.hide(checkpoint=self.checkpoint)
        elif hidden is not None and not package_setting(work.settings):
            work.log.child("The content from before WEBSITE_RUN_FROM_PACKAGE is back.")
            staged = self._switch.replace_stage(root, hidden, checkpoint=self.checkpoint)
            return replace(work, target=staged / work.place.relative_to(root), uncovers=True)
        staged = self._switch.stage(root, checkpoint=self.checkpoint)
        return replace(work, target=staged / work.place.relative_to(root))

    def _is_run_from(self, work: _Work) -> bool:
        """Tell whether the site is to run from this package (§3.6).

        A command of its own goes before a pushed package; one at an address is for no builder to touch.
        """
        source, request = package_setting(work.settings), work.request
        if work.place != self._options.web_root or request.artifact is not None or request.commit is not None:
            return False
        builder = work.settings.get("COMMAND") or work.settings.get("SCM_SCRIPT_GENERATOR_ARGS")
        return is_package_address(source) or (source == "1" and not builder)

    def _commit(self, work: _Work) -> None:
        """The one step: from here on visitors get the new version."""
        if self._is_run_from(work) and (package := self._kept.package(work.record.id)):
            name = self._packages.add(package, most=most_packages(work.settings))
            work.log.child(f"The site runs from data\\SitePackages\\{name}.")
        if work.manifest is not None:
            write_manifest(self._store.folder(work.record.id) / "manifest", sorted(work.manifest))
        for path in self._switch.commit(work.record.id, keep_folder=not (_restarts(work) or work.packaged)):
            work.log.child(
                f"'{path}' was written by the site too while the deployment ran: the deployment's is served.",
                Kind.WARNING,
            )
        if work.uncovers:
            self._packages.forget_hidden()

    def _command(self, work: _Work) -> _Work:
        """Bring the content into its place, then build it where that is asked for; return it with its manifest."""
        from homeport.webconfig.detection import WITHOUT_SERVER  # late: parsing XML is slow to load
        from homeport.webconfig.runtimes import OTHER_RUNTIME

        if not is_below(work.source, self._options.staging):
            raise BuildFailed(
                f"PROJECT names '{work.settings.get('PROJECT')}', which is no folder of the package."
            )
        if work.request.artifact is not None:
            return self._sync(work)
        from_package = self._is_run_from(work)
        command = None if from_package else work.settings.get("COMMAND")
        if command:
            work.log.child(f"Command: {command}")
            self._script(work, command)
            return work
        arguments = None if from_package else work.settings.get("SCM_SCRIPT_GENERATOR_ARGS")
        if arguments:
            raise BuildFailed(
                f"SCM_SCRIPT_GENERATOR_ARGS is '{arguments}', and generated scripts are not supported: remove it."
            )
        build = not from_package and work.settings.flag("SCM_DO_BUILD_DURING_DEPLOYMENT", default=False)
        work.log.child(f"Command: KuduSync {'--python' if build else '--basic'}")
        self._transform(work)
        if build and work.place == self._options.web_root:
            self._make_room_for_environment(work)
        work = self._sync(work, mirror=from_package)
        restored = build and self._restored(work)
        installs = build and not restored and is_python_site(work.target)
        content, plan, pythons = self._compiled()
        # Whether there is an ASGI server, or the environment that is named, is known once the packages are installed.
        later = {WITHOUT_SERVER, OTHER_RUNTIME} if installs else set()
        known = [each for each in plan.findings if each.code not in later]
        for finding in known:
            work.log.child(str(finding), _KINDS[finding.severity])
        if restored:
            work = replace(work, packaged=True)
            work.log.child("The packages are those that this deployment was made with.")
        elif installs:
            choose = partial(choose_python, plan, pythons, site=self._options.site)
            work = replace(work, packaged=self._build(work, plan, choose))
            content, plan, pythons = self._compiled()
        elif build:
            work.log.child("Nothing to build: the package has no requirements.txt.")
        self._check(work, content, plan, pythons, known=known)
        return work

    def _compiled(self) -> "tuple[Content, HostingPlan, Sequence[SitePython]]":
        """Look at the content as it will be served and return it with what it comes to."""
        content = list_content(self._switch.staged(self._options.web_root))
        plan, pythons = compile_content(
            self._options.home,
            content,
            site=self._options.site,
            app_settings=self._providers.app,
            staged=self._switch.staged,
        )
        return content, plan, pythons

    def _make_room_for_environment(self, work: _Work) -> None:
        """Leave a virtual environment to the build: one that comes with a package was made elsewhere."""
        from homeport.webconfig.environments import wanted_environment

        name = wanted_environment(self._providers.app)
        if not name:
            return
        check_room(work.source / name)
        check_room(work.target / name)
        if (work.source / name).exists():
            work.log.child(f"The folder '{name}' of the package is left out: the build makes it.")
            remove_tree(work.source / name)
        if work.request.clean:
            remove_tree(work.target / name)

    def _check(
        self,
        work: _Work,
        content: Content,
        plan: "HostingPlan",
        pythons: Sequence[SitePython],
        *,
        known: Sequence[Finding],
    ) -> None:
        """Say what else of the deployed content will not work; it is served all the same."""
        from homeport.scm.checking.content import check_compiled  # late: only deployments need it

        findings = check_compiled(
            self._options.home,
            content,
            plan,
            pythons,
            name=self._options.site,
            app_settings=self._providers.app,
            staged=self._switch.staged,
        )
        for finding in findings:
            if finding not in known:
                work.log.child(str(finding), _KINDS[finding.severity])

    def _transform(self, work: _Work) -> None:
        """Apply web.release.config and the like, where the setting that MSBuild would get names a configuration."""
        configuration = build_configuration(work.settings.get("SCM_BUILD_ARGS"))
        if not configuration:
            return
        name, findings = transform_web_config(work.source, configuration)
        work.log.child(
            f"Applied {name} to web.config."
            if name
            else f"There is no web.{configuration.lower()}.config to apply."
        )
        for finding in findings:
            work.log.child(str(finding), _KINDS[finding.severity])

    def _build(self, work: _Work, plan: "HostingPlan", choose: Callable[[], tuple[SitePython, str]]) -> bool:
        """Build in the staged content, with packages in it or in a staged runtime that takes its place along with it.

        Tells whether packages of the content changed.
        """
        root = self._options.web_root
        changed = False

        def chosen() -> tuple[SitePython, str]:
            python, note = choose()
            app, content = self._providers.app, self._switch.stage(root, checkpoint=self.checkpoint)
            environment = environment_for(python, plan, app_settings=app, root=root, staged=content)
            return environment or python, note

        def staged(python: SitePython) -> SitePython:
            nonlocal changed
            if python.base is not None:
                changed = True
                return python
            return replace(python, folder=self._switch.stage(python.folder, checkpoint=self.checkpoint))

        if any(work.settings.get(name) for name in BUILD_COMMANDS):
            self._part_content(work)
        python = build_python(self._build_run(work), work.target, choose=chosen, stage=staged)
        if python is None:
            return False
        if python.base is not None:
            name = python.folder.relative_to(self._switch.staged(root)).as_posix()
            self._kept.keep_environment(work.record.id, python.folder, name=name, checkpoint=self.checkpoint)
            return changed
        folder = self._switch.staged(python.folder)
        self._kept.keep_runtime(work.record.id, folder, name=python.folder.name, checkpoint=self.checkpoint)
        return False

    def _restored(self, work: _Work) -> bool:
        """Stage the packages that an earlier attempt of this deployment ended with; False where none were kept."""
        if work.request.again is None:
            return False
        runtimes = self._kept.runtimes(work.request.again)
        for kept, live in runtimes:
            self._switch.replace_stage(live, kept, checkpoint=self.checkpoint)
        environments = self._kept.environments(work.request.again)
        for kept, name in environments:
            place = self._switch.stage(self._options.web_root, checkpoint=self.checkpoint) / name
            remove_tree(place)
            share_tree(kept, place, checkpoint=self.checkpoint)
        return bool(runtimes or environments)

    def _sync(self, work: _Work, *, mirror: bool = False) -> _Work:
        """Copy, and remove what earlier deployments brought and this one has not."""
        log, target, request = work.log, work.target, work.request
        target.mkdir(parents=True, exist_ok=True)
        log.child(f"KuduSync to: '{windows_text(str(work.place), self._options.layout)}'")
        previous = self._store.previous_manifest()
        ours = previous if request.artifact is None and not request.carries else ()
        plan = prepare_sync(
            work.source,
            target,
            previous=ours,
            mirror=mirror or request.clean,
            everything=request.again is not None or request.artifact is not None,
        )
        run_sync(plan, work.source, target, say=log.child, checkpoint=self.checkpoint)
        return replace(work, manifest=previous if request.carries else plan.manifest)

    def _after(self, work: _Work) -> None:
        """Run the post-deployment actions (§12.6); the first that fails ends the deployment."""
        work.log.entry("Running post deployment command(s)...")
        for action in self._actions(work):
            work.log.entry(action.stem)
            self._script(work, f'"{action}"')

    def _actions(self, work: _Work) -> list[Path]:
        named = (work.settings.get("SCM_POST_DEPLOYMENT_ACTIONS_PATH") or "").replace("\\", "/")
        standard = self._options.home / "site/deployments/tools/PostDeploymentActions"
        folders = (work.source / named, work.target / named) if named else (standard,)
        return [action for folder in folders for action in post_deployment_actions(folder)]

    def _part_content(self, work: _Work) -> None:
        """Let programs write in place whatever is deployed; it is served at the one step and not before."""
        root = self._options.web_root
        if work.place.is_relative_to(root):
            below = work.place.relative_to(root)
            package = {(below / path).as_posix() for path in look(work.source)}
            self._switch.part_content(package, checkpoint=self.checkpoint)

    def _script(self, work: _Work, line: str) -> None:
        self._part_content(work)
        run_script(
            line,
            directory=work.source,
            environment=self._environment(work),
            layout=self._options.layout,
            log=work.log,
            idle_seconds=self._idle_seconds(work),
            checkpoint=self.checkpoint,
        )

    def _build_run(self, work: _Work) -> BuildRun:
        return BuildRun(
            options=self._options,
            environment=self._environment(work),
            log=work.log,
            idle_seconds=self._idle_seconds(work),
            checkpoint=self.checkpoint,
        )

    def _idle_seconds(self, work: _Work) -> int:
        return work.settings.number("SCM_COMMAND_IDLE_TIMEOUT", default=60) or 60

    def _environment(self, work: _Work) -> dict[str, str]:
        """Return what a deployment's programs find in their environment (§12.3)."""
        environment = {
            **{name: value for name, value in self._options.environment.items() if not _is_ours(name)},
            **work.settings.all(),
            "DEPLOYMENT_SOURCE": str(work.source),
            "DEPLOYMENT_TARGET": str(work.target),
            "DEPLOYMENT_TEMP": str(self._options.temporary),
            "WEBROOT_PATH": str(self._switch.staged(self._options.web_root)),
            "NEXT_MANIFEST_PATH": str(self._store.folder(work.record.id) / "manifest"),
            "IN_PLACE_DEPLOYMENT": "0",
            "IGNORE_MANIFEST": "1" if work.request.clean else "0",
            "SCM_COMMIT_ID": work.record.id,
            "SCM_COMMIT_MESSAGE": work.record.message or "",
        }
        return {name: value for name, value in environment.items() if "\0" not in value}

    def _recycle(self, work: _Work) -> None:
        work.log.entry("Triggering recycle (preview mode disabled).")
        if not _restarts(work):
            return
        path = self._switch.staged(self._options.web_root) / "web.config"
        try:
            unshare(path)
            os.utime(path)
        except FileNotFoundError:
            work.log.child("There is no web.config to touch.")


def _restarts(work: _Work) -> bool:
    """Tell whether the site's processes are to be replaced even where no changed file asks for it."""
    wanted = work.settings.flag("SCM_TOUCH_WEBCONFIG_AFTER_DEPLOYMENT", default=True)
    return wanted and work.request.restart


def dot_deployment(source: Path) -> dict[str, str]:
    """Return the settings that a package brings for its own deployment."""
    try:
        with (source / ".deployment").open("rb") as file:
            return parse_dot_deployment(file.read(_MOST_DOT_DEPLOYMENT))
    except OSError:
        return {}


def _is_ours(name: str) -> bool:
    return name.startswith("HOMEPORT_SCM_")


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
    return str(error) or type(error).__name__
