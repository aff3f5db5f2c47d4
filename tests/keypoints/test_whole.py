"""keypoints/whole.py: who comes first."""

import json

import numpy as np
import pytest
from people import person

from entity import Joint
from keypoints.paf import People
from keypoints.whole import WholePerson, person_of_part, persons_of
from streams.formats import people_to_json, to_coco

ARM = (Joint.RightShoulder, Joint.RightElbow, Joint.RightHand)


def some(joints, score):
    """Somebody of whom these joints were found."""
    pose = person(100, 60, 18)
    pose[[joint for joint in Joint if joint not in joints]] = 0
    return WholePerson(pose, score, (pose[:, 2] > 0) * 0.5)


def people_of(*persons):
    return People(*(np.array([getattr(each, name) for each in persons]) for name in ("pose", "score", "confidences")))


def test_the_rank_of_a_whole_person_is_the_score():
    assert some(Joint, 1.25).rank == 1.25


def test_with_equal_scores_more_joints_rank_higher():
    ranks = [some(list(Joint)[:n], 1.0).rank for n in range(1, 19)]
    assert ranks == sorted(set(ranks))


def test_with_equal_joints_the_higher_score_ranks_higher():
    assert some(ARM, 1.1).rank > some(ARM, 1.0).rank


def test_the_rank_of_a_face_is_its_score():
    face = person_of_part("face", np.ones((70, 3)))
    assert face.rank == face.score


def test_a_whole_person_comes_before_a_fragment_of_a_little_more_score():
    """In every file; the score that is written stays the mean per joint."""
    fragment, whole, third = some(ARM, 1.2), some(Joint, 1.0), some(ARM, 0.9)
    persons = persons_of(people_of(third, fragment, whole))
    assert [each.score for each in persons] == [1.0, 1.2, 0.9]
    assert [each["score"] for each in people_to_json(persons)["people"]] == [1.0, 1.2, 0.9]
    ranks = [entry["score"] for entry in to_coco([third, fragment, whole], 1)]
    assert ranks == [pytest.approx(each.rank, abs=1e-5) for each in persons]
    json.dumps(ranks)


def test_people_of_equal_rank_keep_their_order():
    poses = np.array([person(x, 60, 18) for x in (300, 100, 200)])
    persons = persons_of(People(poses, np.ones(3), np.ones((3, 18))))
    np.testing.assert_array_equal([each.pose for each in persons], poses)
