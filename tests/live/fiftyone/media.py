"""Datasets of videos and of groups; no file is ever read."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

_numbers = itertools.count()


class Media:
    """A video with frames and clips, and groups of two images, made when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._video: Any = None
        self._groups: Any = None

    def frames(self) -> Any:
        """The frames of the video."""
        return self._videos().to_frames()

    def clips(self) -> Any:
        """Five clips of the video."""
        return self._videos().to_clips([[[1, 4], [5, 8], [9, 12], [13, 16], [17, 20]]])

    def slices(self, names: Any) -> Any:
        """Some slices of the groups, flattened."""
        return self._grouped().select_group_slices(names)

    def _videos(self) -> Any:
        import fiftyone as fo

        if self._video is None:
            sample = fo.Sample(filepath=str(self._folder / "video.mp4"))
            sample.metadata = fo.VideoMetadata(total_frame_count=20, frame_rate=10, duration=2.0)
            for number in range(1, 21):
                path = str(self._folder / f"{number:04d}.png")
                sample.frames[number] = fo.Frame(filepath=path)
            self._video = fo.Dataset(f"videos_{next(_numbers)}")
            self._video.add_sample(sample)
        return self._video

    def _grouped(self) -> Any:
        import fiftyone as fo

        if self._groups is None:
            self._groups = fo.Dataset(f"groups_{next(_numbers)}")
            self._groups.add_group_field("group", default="left")
            samples = []
            for number in range(10):
                group = fo.Group()
                for name in ("left", "right"):
                    path = str(self._folder / f"{name}{number}.png")
                    samples.append(fo.Sample(filepath=path, group=group.element(name)))
            self._groups.add_samples(samples)
        return self._groups
