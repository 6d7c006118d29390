from homeport.windows.explain import Explanation, explain
from homeport.windows.layout import Layout

from .trees import tree

LAYOUT = Layout()


def only(explanations: tuple[Explanation, ...]) -> Explanation:
    (explanation,) = explanations
    return explanation


def steps(explanation: Explanation) -> dict[str, str]:
    return {step.what: step.outcome for step in explanation.steps}


def test_a_path_is_explained_step_by_step() -> None:
    listing = tree("/home/site/wwwroot/")

    explanation = only(explain(r"%HOME%\Site\wwwroot", LAYOUT, list_folder=listing))

    assert explanation.result == "/home/site/wwwroot"
    assert steps(explanation) == {
        "input": r"%HOME%\Site\wwwroot",
        "variables": r"D:\home\Site\wwwroot (from %HOME%)",
        "rule": r"X:\home is the site's folder /home",
        "note": "'Site' is spelled 'site' in /home",
        "result": "/home/site/wwwroot (exists)",
    }


def test_what_has_no_counterpart_is_a_warning() -> None:
    explanation = only(explain(r"D:\Windows", LAYOUT))

    assert explanation.result is None
    assert "no counterpart" in explanation.warnings[0]


def test_both_halves_of_a_script_processor_are_explained() -> None:
    python, script = explain(r"D:\home\Python361x64\python.exe|D:\home\Python361x64\wfastcgi.py", LAYOUT)

    assert "Python 3.6.1 of the site extension in folder Python361x64" in steps(python)["program"]
    assert "FastCGI host" in steps(script)["program"]


def test_each_item_of_a_list_is_explained() -> None:
    explanations = explain(r"D:\home\site;D:\home\lib", LAYOUT)

    assert [explanation.result for explanation in explanations] == ["/home/site", "/home/lib"]


def test_an_empty_text_is_explained_too() -> None:
    assert only(explain("", LAYOUT)).result == "."
