"""The page and its chart hold what was measured and say what was not."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

from bench.report.chart import draw
from bench.report.page import render
from bench.samples import (
    ColdSample,
    DeploymentSample,
    DisturbanceSample,
    EchoSample,
    FileSample,
    FootprintSample,
    HttpPlatformSample,
    LoadSample,
    LogReadersSample,
    MemorySample,
    NeighbourSample,
    ReloadSample,
    Results,
    RewritingSample,
    RouteSample,
    Section,
    StackName,
    TransferSample,
    from_json,
    to_json,
)
from bench.summary import rows

Make = Callable[..., LoadSample]


def section(*samples):
    return Section(taken="2026-01-01T00:00+00:00", load_average=0.1, samples=samples)


def full(make_sample: Make) -> Results:
    memory = {"load": "hello", "front_bytes": 1, "platform_bytes": 0, "site_processes": 3}
    disturbance = {"sites": 100, "changes": 8, "requests": 1000, "failures": 0, "socket_errors": 0}
    footprint = {"front_bytes": 10, "platform_bytes": 20, "ready_seconds": 1.0}
    file = {"round": 0, "failures": 0}
    transfer = {"round": 0, "size_bytes": 1_000_000_000, "cpu_seconds": 2.0, "peer_cpu_seconds": 1.0}
    return Results(
        machine={"cores": "2"},
        notes=("a note",),
        load=section(
            make_sample(),
            make_sample(stack=StackName.HOMEPORT_PURE.value, site_cpu=30.0, platform_cpu=5.0),
            make_sample(stack=StackName.GRANIAN.value, failures=7),
        ),
        memory=section(
            MemorySample(stack=StackName.UWSGI.value, site_bytes=10_000_000, **memory),
            MemorySample(stack=StackName.HOMEPORT_PURE.value, site_bytes=25_000_000, **memory),
        ),
        cold=section(
            *(
                ColdSample(stack="s", load="flask_hello", attempt=n, request_seconds=0.3, import_seconds=0.22)
                for n in range(3)
            )
        ),
        route=section(
            RouteSample(sites=1, round=0, front_cpu=10, back_cpu=10, failures=0, socket_errors=0),
            RouteSample(sites=100, round=0, front_cpu=11, back_cpu=10, failures=0, socket_errors=0),
        ),
        reload=section(ReloadSample(sites=100, attempt=0, seconds=0.012, cpu_seconds=0.01)),
        disturbance=section(
            DisturbanceSample(what="reload", clients="new connections", **disturbance),
            DisturbanceSample(what="change", clients="kept alive", slowest_change=0.6, **disturbance),
        ),
        footprint=section(
            FootprintSample(sites=1, active=0, site_bytes=0, **footprint),
            FootprintSample(sites=20, active=20, site_bytes=200_000_000, **footprint),
        ),
        neighbours=section(
            NeighbourSample(sites=1, round=0, p50=100, p99=1000, failures=0, socket_errors=0),
            NeighbourSample(sites=200, round=0, p50=100, p99=1100, failures=0, socket_errors=0),
        ),
        files=section(
            FileSample(size_bytes=10240, cpu=10, plain_cpu=9, rate=950, plain_rate=1000, **file),
            FileSample(size_bytes=1048576, cpu=10, plain_cpu=9, rate=850, plain_rate=1000, **file),
        ),
        transfers=section(
            TransferSample(
                direction="upload", seconds=2.0, peer_seconds=1.3, growth_bytes=2_000_000, **transfer
            ),
            TransferSample(
                direction="download", seconds=2.0, peer_seconds=1.0, growth_bytes=17_000_000, **transfer
            ),
        ),
        echo=section(EchoSample(shell="cmd", round=0, keys=100, p50=0.002, p99=0.0304)),
        log_readers=section(
            LogReadersSample(readers=0, round=0, rate=1000.0, cpu=20.0, failures=0),
            LogReadersSample(readers=50, round=0, rate=980.0, cpu=25.0, failures=0),
        ),
        deployments=section(
            DeploymentSample(kind="files", round=0, seconds=1.2, peer_seconds=1.0),
            DeploymentSample(kind="packages", round=0, seconds=6.0, peer_seconds=10.0),
        ),
        rewriting=section(
            RewritingSample(rules=0, round=0, rate=1000.0, front_cpu=20, back_cpu=10, failures=0),
        ),
        http_platform=section(
            HttpPlatformSample(server="granian", measure="rate", own=9600.0, peer=10_000.0),
            HttpPlatformSample(server="granian", measure="echo", own=0.000105, peer=0.0001),
            HttpPlatformSample(server="granian", measure="cold", own=0.62, peer=0.5),
        ),
    )


def test_the_page_shows_what_rewrite_rules_cost() -> None:
    samples = [
        RewritingSample(rules=rules, round=0, rate=rate, front_cpu=20, back_cpu=10, failures=0)
        for rules, rate in ((0, 1000.0), (50, 650.0))
    ]
    page = render(Results(rewriting=section(*samples)))

    assert "| with fifty rules | 650 | 20 + 10 µs |" in page
    assert "as a part of that without | 0.70 | 0.65 | ✗ missed |" in page


def test_results_survive_their_file(make_sample: Make) -> None:
    results = full(make_sample)

    assert from_json(to_json(results)) == results


def test_nothing_measured_survives_its_file_too() -> None:
    assert from_json(to_json(Results())) == Results()


def test_a_page_without_measurements_says_so() -> None:
    assert "Not measured in the last run." in render(Results())


def test_the_page_shows_ratios_and_marks(make_sample: Make) -> None:
    page = render(full(make_sample))

    assert (
        "| raw WSGI, 32 | **0.50 / 1.00** | 1.00 / 1.00 | invalid: 7 bad answers, 0 socket errors |" in page
    )
    assert "| Homeport, pure Python: raw WSGI, 32 connections | 0.83 | 0.50 | ✗ missed | 1.00 | ✓ |" in page
    assert (
        "| Homeport, accelerated: Flask, 32 connections | 1.05 | – | not measured | – | not measured |"
        in page
    )


def test_the_page_marks_limits(make_sample: Make) -> None:
    page = render(full(make_sample))

    assert "beyond the application's import (median) | 100 ms | 80 ms | ✓ |" in page
    assert "500 ms; 0 | 600 ms; 0 | ✗ missed |" in page
    assert (
        "p99 latency of one site among 200 with processes, as a multiple of a lone site's | 1.2 | 1.10 | ✓ |"
        in page
    )


def test_the_page_shows_deployments_beside_the_tools(make_sample: Make) -> None:
    page = render(full(make_sample))

    assert "beside `unzip` | 1.20 s | 1.00 s | 1.20 | 1 |" in page
    assert "Deployment of 5,000 files, 50 MB, without a build; beside `unzip` | 1.50 | 1.20 | ✓ |" in page
    assert "fresh environment | 0.50 | 0.60 | ✗ missed |" in page
    assert "The same, in seconds (median) | 10 s | 6.00 s | ✓ |" in page


def test_the_page_shows_files_beside_plain_nginx(make_sample: Make) -> None:
    page = render(full(make_sample))

    assert "| 10 KB | 0.90 | 0.95 | 950 | 1 |" in page
    assert "| File of 10 KB beside plain nginx | 0.90 |  |  | 0.95 | ✓ |" in page
    assert "| File of 1 MB beside plain nginx | 0.90 |  |  | 0.85 | ✗ missed |" in page


def test_the_page_shows_files_through_the_scm_site_beside_nginx_alone(make_sample: Make) -> None:
    page = render(full(make_sample))

    assert "| Upload of 1,000 MB by `/api/vfs` | 0.65 | 0.50 | 500 | +2.0 MB | 1 |" in page
    assert "| Upload of 1,000 MB by `/api/vfs` beside plain nginx | 0.60 |  |  | 0.65 | ✓ |" in page
    assert "| Download of 1,000 MB by `/api/vfs` beside plain nginx | 0.60 |  |  | 0.50 | ✗ missed |" in page
    assert (
        "| Download of 1,000 MB by `/api/vfs`: memory of the SCM site beyond that before"
        " | 16.0 MB | 17.0 MB | ✗ missed |" in page
    )


def test_the_page_shows_how_fast_the_console_echoes(make_sample: Make) -> None:
    page = render(full(make_sample))

    assert "| cmd | 2.0 ms | 30.4 ms | 100 |" in page
    assert "| Echo of a key in the console, cmd (p99, median of the rounds) | 30.0 ms | 30.4 ms | ✗" in page


def test_the_page_shows_what_readers_of_the_log_cost_the_site(make_sample: Make) -> None:
    page = render(full(make_sample))

    assert "| 50 readers | 0.98 | 0.80 | 1 |" in page
    assert (
        "| Site with 50 readers of its log beside itself without | 0.97 | 0.80 | ✗ missed | 0.98 | ✓ |"
        in page
    )


def test_readers_have_no_ratio_when_the_site_answered_badly() -> None:
    samples = [
        LogReadersSample(readers=readers, round=0, rate=1000.0, cpu=20.0, failures=failures)
        for readers, failures in ((0, 0), (50, 3))
    ]

    assert "| 50 readers | – | – | 1 |" in render(Results(log_readers=section(*samples)))


def test_memory_is_a_multiple_of_uwsgis(make_sample: Make) -> None:
    page = render(full(make_sample))

    assert "| Homeport, pure Python | 2.50× (25.0 MB) |" in page
    assert "10.0 MB per site" in page


def test_every_table_row_has_as_many_cells_as_its_head(make_sample: Make) -> None:
    widths: set[int] = set()
    for line in [*render(full(make_sample)).splitlines(), ""]:
        if line.startswith("|"):
            widths.add(line.count("|"))
            assert len(widths) == 1, line
        else:
            widths.clear()


def test_the_chart_is_well_formed_and_has_a_bar_for_each_valid_row(make_sample: Make) -> None:
    results = full(make_sample)
    assert results.load

    chart = ElementTree.fromstring(draw(rows(results.load.samples)))

    bars = chart.findall("{http://www.w3.org/2000/svg}rect")
    assert len(bars) == 2
    assert "invalid" in "".join(chart.itertext())
    assert float(bars[0].attrib["width"]) * 2 == float(bars[1].attrib["width"])


def test_the_chart_has_colours_for_the_dark(make_sample: Make) -> None:
    assert "prefers-color-scheme:dark" in draw(rows([make_sample()]))


def test_the_page_compares_httpplatform_with_nginx_by_hand(make_sample: Make) -> None:
    page = render(full(make_sample))

    assert "| granian | requests per second | 9,600 | 10,000 | 0.96 | ≥ 0.95 | 1 |" in page
    assert "| granian | WebSocket echo | 105 µs | 100 µs | 1.05 | ≤ 1.1 | 1 |" in page
    assert "| granian | cold start | 620 ms | 500 ms | +120 ms | ≤ 150 ms | 1 |" in page
