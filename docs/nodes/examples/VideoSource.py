"""Test pictures that FFmpeg draws. For a camera: `source="/dev/video0", format="v4l2"`."""

import pyacq_lab as pyacq

with pyacq.LocalNodeGroup() as here:
    camera = here.create_node("VideoSource", "camera")
    camera.configure(source="testsrc2=size=64x48:rate=25")
    here.start_all_nodes()
    pyacq.wait_for(lambda: camera.output.status().samples >= 3)
    with camera.output.open() as stream:
        print(stream[0:3].shape, stream.spec.np_dtype)
        # > (3, 48, 64, 3) uint8
