"""The bundled writer on topics: what it is told is what a classifier, which knows nothing of it, finds."""

from samples import bundled_model

from nlp_lstm import Pipeline


def test_what_is_told_is_found_by_a_classifier():
    writer, judge = Pipeline(bundled_model("topics-en")), Pipeline(bundled_model("sentiment-en"))
    options = {"max_new_tokens": 40, "num_return_sequences": 50, "seed": 1}
    agreed = 0
    for topic in ("NEGATIVE", "POSITIVE"):
        texts = [one["generated_text"] for one in writer.predict("", topic=topic, guidance=2.5, **options)]
        agreed += sum(found["label"] == topic for found in judge.predict([text for text in texts if text.strip()]))
    assert agreed >= 75
