import pytest

from nlp_lstm.text.placeholders import KeptCount, count_kept, find_lost, find_placeholders


@pytest.mark.parametrize(
    ("text", "placeholders"),
    [
        ("Hello %(name)s, you have %(count)d new mails", ["%(name)s", "%(count)d"]),
        ("%s of %d, %1$s first, %5.2f", ["%s", "%d", "%1$s", "%5.2f"]),
        ("%d%% done", ["%d", "%%"]),
        ("{name} has {0} of {} at {price:.2f}, {user.name!r}", ["{name}", "{0}", "{}", "{price:.2f}", "{user.name!r}"]),
        ("${title} is ${state/name}", ["${title}", "${state/name}"]),
        ("{{ user.name }} {% endif %}", ["{{ user.name }}", "{% endif %}"]),
        ('Read <a href="{url}">this</a><br/>', ['<a href="{url}">', "</a>", "<br/>"]),
        ("Fish&nbsp;&amp; chips &#8217;&#x2019;", ["&nbsp;", "&amp;", "&#8217;", "&#x2019;"]),
        ("&File, E&xit, _Open", ["&", "&", "_"]),
    ],
)
def test_placeholders_of_every_kind_are_found_in_order(text, placeholders):
    assert find_placeholders(text) == placeholders


@pytest.mark.parametrize(
    "text", ["100% sure", "5 % discount", "20% der Leute", "AT&T, R&D", "snake_case", "a < b > c", "Save & close", ""]
)
def test_what_only_looks_like_one_is_text(text):
    assert find_placeholders(text) == []


@pytest.mark.parametrize(
    ("source", "translation", "count"),
    [
        ("%(n)d files in {folder}", "In {folder} sind %(n)d Dateien", KeptCount(2, 2)),
        ("%(n)d files in {folder}", "%(zahl)d Dateien in {folder}", KeptCount(1, 2)),
        ("%s and %s", "%s", KeptCount(1, 2)),
        ("%s", "%s und %s", KeptCount(1, 1)),
        ("no placeholder", "kein {platzhalter}", KeptCount(0, 0)),
    ],
)
def test_a_placeholder_is_kept_as_often_as_both_have_it(source, translation, count):
    assert count_kept(source, translation) == count


def test_lost_placeholders_are_those_that_a_translation_has_less_often():
    assert find_lost("%s of %s in {name}", "{name}: %s") == ["%s"]
    assert find_lost("Open {name}", "{name} öffnen") == []
