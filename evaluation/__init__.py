"""How well a network finds people: COCO's figures, errors of keypoints, pages and curves."""
