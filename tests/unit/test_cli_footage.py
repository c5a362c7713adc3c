"""Which clips a user means, and how they are split."""

import pytest
from autoisp.ingest.v1 import ingest_pb2
from autoisp_cli.tune.footage import find_clips, separate
from autoisp_cli.tune.splits import split
from autoisp_core.errors import InvalidArgumentError

TRAIN, VALIDATION, TEST = ingest_pb2.SPLIT_TRAIN, ingest_pb2.SPLIT_VALIDATION, ingest_pb2.SPLIT_TEST


@pytest.fixture
def clips(tmp_path):
    """Two videos, a folder of frames, and things that are no clips."""
    folder = tmp_path / "clips"
    (folder / "walk").mkdir(parents=True)
    (folder / "walk" / "1.png").touch()
    for name in ("bikes.mp4", "bunny.MOV", "notes.txt", ".hidden.mp4"):
        (folder / name).touch()
    return folder


def names(sources):
    return [source.name for source in sources]


def test_a_folder_stands_for_its_videos_and_frame_folders(clips):
    assert names(find_clips([str(clips)], "--footage")) == ["bikes", "bunny", "walk"]


def test_a_folder_of_frames_is_one_clip(clips):
    assert names(find_clips([str(clips / "walk")], "--footage")) == ["walk"]


def test_files_and_globs_count_once(clips):
    words = [str(clips / "b*"), str(clips / "bikes.mp4")]
    assert names(find_clips(words, "--footage")) == ["bikes", "bunny"]


def test_equal_stems_get_longer_names(clips):
    (clips / "bikes.mkv").touch()
    assert names(find_clips([str(clips)], "--footage")) == ["bikes.mkv", "bikes.mp4", "bunny.MOV", "walk"]


@pytest.mark.parametrize(("word", "message"), [("nowhere", "no such file"), ("no*.mp4", "nothing matches")])
def test_missing_footage_names_option_and_path(word, message):
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        find_clips([word], "--footage")
    assert caught.value.field == "--footage"
    assert word in caught.value.message


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(InvalidArgumentError, match="no clips"):
        find_clips([str(tmp_path)], "--footage")


def test_without_test_the_last_clip_by_name_is_unseen(clips):
    training, test = separate(find_clips([str(clips)], "--footage"), [])
    assert (names(training), names(test)) == (["bikes", "bunny"], ["walk"])


@pytest.mark.parametrize("word", ["bunny", "bunny.MOV", "{clips}/bunny.MOV"])
def test_a_test_clip_named_in_the_footage_is_no_training_clip(clips, word):
    training, test = separate(find_clips([str(clips)], "--footage"), [word.format(clips=clips)])
    assert (names(training), names(test)) == (["bikes", "walk"], ["bunny"])


def test_test_clips_may_come_from_elsewhere(clips, tmp_path):
    (tmp_path / "unseen.mp4").touch()
    training, test = separate(find_clips([str(clips)], "--footage"), [str(tmp_path / "unseen.mp4")])
    assert (len(training), names(test)) == (3, ["unseen"])


@pytest.mark.parametrize(
    ("word", "test", "message"),
    [
        ("bikes.mp4", [], "one clip"),
        ("", ["bicycle"], "the clips are bikes, bunny, walk"),
        ("", ["bikes", "bunny", "walk"], "takes all"),
    ],
)
def test_nothing_to_judge_on_or_to_train_on(clips, word, test, message):
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        separate(find_clips([str(clips / word)], "--footage"), test)
    assert caught.value.field == "--test"


@pytest.mark.parametrize("inside", ["", "walk"])
def test_a_folder_that_cannot_be_read_names_option_and_fix(clips, monkeypatch, inside):
    iterdir = type(clips).iterdir

    def guarded(path):
        if path == clips / inside:
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(type(clips), "iterdir", guarded)
    with pytest.raises(InvalidArgumentError, match="Permission denied; check its permissions") as caught:
        find_clips([str(clips)], "--footage")
    assert caught.value.field == "--footage"
    assert str(clips / inside) in caught.value.message


def test_a_path_that_cannot_be_looked_up_names_option_and_fix(clips):
    for word, test in (("a" * 5000, []), (str(clips), ["b" * 5000])):
        with pytest.raises(InvalidArgumentError, match="check the path") as caught:
            separate(find_clips([word], "--footage"), test)
        assert caught.value.field == ("--test" if test else "--footage")


def clip(name, frames):
    return ingest_pb2.Clip(name=f"clips/{name}", display_name=name, frame_count=frames)


def shape(parts):
    return [(part.clip[6:], part.split, part.first_frame, part.end_frame) for part in parts]


def test_few_clips_give_their_last_fifth_after_a_gap():
    parts = split([clip("a", 100), clip("b", 12)], [clip("t", 30)])
    assert shape(parts) == [
        ("a", TRAIN, 0, 75),
        ("a", VALIDATION, 80, 100),
        ("b", TRAIN, 0, 5),
        ("b", VALIDATION, 10, 12),
        ("t", TEST, 0, 30),
    ]


def test_many_clips_give_whole_ones():
    parts = split([clip(str(i), 3) for i in range(6)], [clip("t", 2)])
    assert [part.split for part in parts] == [TRAIN] * 4 + [VALIDATION, TRAIN, TEST]
    assert all((part.first_frame, part.end_frame) == (0, 3) for part in parts[:6])


def test_a_clip_too_short_to_be_cut_only_trains():
    parts = split([clip("a", 100), clip("short", 11)], [clip("t", 30)])
    assert shape(parts)[2] == ("short", TRAIN, 0, 11)


def test_clips_too_short_to_validate_on_are_an_error():
    with pytest.raises(InvalidArgumentError, match=r"--footage short: 11 frames .* at least 12") as caught:
        split([clip("short", 11)], [clip("t", 30)])
    assert caught.value.field == "--footage"


def test_test_clips_that_are_all_of_the_training_clips_are_an_error():
    with pytest.raises(InvalidArgumentError, match=r"the same bytes as a test clip.* --footage") as caught:
        split([], [clip("t", 30)])
    assert caught.value.field == "--test"
