from __future__ import annotations

import io

import numpy as np
from PIL import Image

from pyacq_lab.viewing.pacing import ByteBudget
from pyacq_lab.viewing.packing import Packer
from pyacq_lab.viewing.scene import Axis, Lines, Picture, Plot, Raster, Tile, Tiles

AXIS = Axis(0.0, 1.0)


def plot(*layers):
    return Plot("name", AXIS, AXIS, layers)


def raster(stop, revision=0, n=4):
    levels = np.arange(stop - n, stop).astype("uint8")[:, np.newaxis] * np.ones(3, "uint8")
    return plot(Raster(levels, stop, 4, 0.0, 1.0, "Viridis", revision))


def columns(packer, element):
    (entry,), buffers = packer.pack([element])
    (layer,) = entry["layers"]
    return layer["reset"], np.frombuffer(buffers[layer["columns"]], "uint8").reshape(-1, 3)[:, 0].tolist()


def test_only_the_columns_that_a_page_lacks_travel():
    packer = Packer()
    assert columns(packer, raster(10)) == (True, [6, 7, 8, 9])
    assert columns(packer, raster(12)) == (False, [10, 11])
    assert columns(packer, raster(12)) == (False, [])
    assert columns(packer, raster(20)) == (True, [16, 17, 18, 19])
    assert columns(packer, raster(20, revision=1)) == (True, [16, 17, 18, 19])
    packer.forget()
    assert columns(packer, raster(20, revision=1)) == (True, [16, 17, 18, 19])


def test_lines_that_share_their_x_send_it_once():
    x = np.array([1.0, 2.0])
    (entry,), buffers = Packer().pack([plot(Lines([x, x], [x, 2 * x], [0, 1]))])
    (layer,) = entry["layers"]
    assert layer["shared"]
    assert layer["lengths"] == [2, 2]
    assert layer["alphas"] == [1.0, 1.0]
    assert np.frombuffer(buffers[layer["x"]], "<f4").tolist() == [1, 2]
    assert np.frombuffer(buffers[layer["y"]], "<f4").tolist() == [1, 2, 2, 4]


def test_small_pictures_travel_raw_and_others_as_jpeg_no_wider_than_wanted():
    packer = Packer(picture_width=300)
    small = np.arange(30, dtype="uint8").reshape(2, 5, 3)
    (entry,), (data,) = packer.pack([Picture("", small)])
    assert (entry["format"], entry["width"], entry["height"]) == ("raw", 5, 2)
    assert data == small.tobytes()
    (entry,), (data,) = packer.pack([Picture("", np.full((400, 600), 80, "uint8"))])
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size, entry["format"]) == ("JPEG", (300, 200), "jpeg")
    assert abs(image.getpixel((9, 9)) - 80) < 4
    (entry,), buffers = packer.pack([Picture("", None)])
    assert (entry["pixels"], buffers) == (None, [])


def test_numbers_are_plain_data():
    (entry,), buffers = Packer().pack([Tiles((Tile("a", "1.5", "V"),))])
    assert entry["tiles"] == [{"name": "a", "value": "1.5", "units": "V", "note": "", "tone": ""}]
    assert buffers == []


def test_a_budget_is_silent_for_as_long_as_what_was_sent_costs():
    budget = ByteBudget(1000.0)
    assert budget.may_spend(0.0)
    budget.spend(500, 0.0)
    assert not budget.may_spend(0.4)
    assert budget.may_spend(0.5)
    budget.spend(100, 5.0)  # what was not used before is not saved up
    assert not budget.may_spend(5.05)
