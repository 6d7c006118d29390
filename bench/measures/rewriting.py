"""A site with fifty rewrite rules beside the same site without: requests per second, in turns on one platform.

Each has one process, so that no sample depends on when a second one started.
"""

from collections.abc import Iterator

from bench.measures.meter import measure_undisturbed
from bench.samples import Load, RewritingSample
from bench.stacks.homeport import Platform
from bench.workshop import Workshop
from bench.wrk import command

CONNECTIONS = 32
RULES = 50
_SITES = {0: "bench-plain", RULES: "bench-ruled"}


def rewrite_section() -> str:
    """Write fifty rules as sites have them: pages, moved addresses, hosts, queries, files, and all else to the application.

    A request for the root goes through all of them; the last one applies.
    """
    rules = [
        f'<rule name="page {number}" stopProcessing="true"><match url="^section{number}/([a-z0-9-]+)/(\\d+)/?$"/>'
        f'<action type="Rewrite" url="page{number}.py?name={{R:1}}&amp;id={{R:2}}"/></rule>'
        for number in range(25)
    ]
    rules += [
        f'<rule name="moved {number}" stopProcessing="true"><match url="^old{number}(/.*)?$"/>'
        f'<action type="Redirect" url="/new{number}{{R:1}}"/></rule>'
        for number in range(10)
    ]
    rules += [
        f'<rule name="host {number}" stopProcessing="true"><match url="(.*)"/><conditions>'
        f'<add input="{{HTTP_HOST}}" pattern="^shop{number}\\.example$"/></conditions>'
        f'<action type="Redirect" url="http://www.shop{number}.example/{{R:1}}"/></rule>'
        for number in range(6)
    ]
    rules += [
        f'<rule name="query {number}" stopProcessing="true"><match url="^article{number}$"/><conditions>'
        f'<add input="{{QUERY_STRING}}" pattern="(?:^|&amp;)id=(\\d+)"/></conditions>'
        f'<action type="Rewrite" url="article/{{C:1}}" appendQueryString="false"/></rule>'
        for number in range(5)
    ]
    rules += [
        f'<rule name="file {number}" stopProcessing="true"><match url="^(.+)\\.{extension}$"/><conditions>'
        '<add input="{REQUEST_FILENAME}" matchType="IsFile" negate="true"/></conditions>'
        '<action type="Rewrite" url="missing/{R:1}"/></rule>'
        for number, extension in enumerate(("png", "css", "js"))
    ]
    rules.append(
        '<rule name="application" stopProcessing="true"><match url="(.*)"/>'
        '<action type="Rewrite" url="app/{R:1}"/></rule>'
    )
    assert len(rules) == RULES
    return f"<rewrite><rules>{''.join(rules)}</rules></rewrite>"


def measure_rewriting(
    workshop: Workshop, *, rounds: int, seconds: int, foreign: float
) -> Iterator[RewritingSample]:
    """Yield the samples of both sites, round by round. Raises `StartError`."""
    platform = Platform(workshop=workshop, data=workshop.folder / "rewriting", accelerator="require")
    with platform:
        for count, site in _SITES.items():
            workshop.say(f"rewriting: making {site}")
            if platform.content(site).exists():
                platform.command("site", "delete", site, "--yes")
            platform.add_site(site, load=Load.HELLO, instances=1, more=rewrite_section() if count else "")
        for number in range(-1, rounds):  # the first round only warms up
            for count, site in _SITES.items():
                workshop.say(f"rewriting: round {number + 1} of {rounds}, {site}")
                where = platform.target(site, load=Load.HELLO)
                words = command(where, core=workshop.cores.client, connections=CONNECTIONS, seconds=seconds)
                reading = measure_undisturbed(platform, words=words, foreign=foreign)
                if number >= 0:
                    yield RewritingSample(
                        rules=count,
                        round=number,
                        rate=reading.outcome.requests / reading.outcome.seconds,
                        front_cpu=reading.front_cpu,
                        back_cpu=reading.site_cpu + reading.platform_cpu,
                        failures=reading.outcome.failures + reading.outcome.socket_errors,
                    )
