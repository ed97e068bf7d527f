"""The versions of the image's packages."""

from deploy.image_constraints import constraints, requirements


def test_the_image_keeps_its_versions():
    """What the image has stays, and what it has not comes in our version."""
    wanted = ["pandas>=3,<4", "psycopg[binary]"]
    locked = ["pandas==3.1.1", "psycopg==3.3.9", "requests==2.34.2"]
    assert constraints({"pandas": "3.0.2", "requests": "2.31.0", "celery": "5.6.3"}, wanted, locked) == [
        "celery==5.6.3",
        "pandas==3.0.2",
        "requests==2.31.0",
        "psycopg==3.3.9",
    ]


def test_a_version_that_we_do_not_take_is_replaced():
    """The image's pandas may be too old for us: then ours is installed, and nothing else changes."""
    found = constraints({"pandas": "2.1.4", "numpy": "1.26.4"}, ["pandas>=3,<4"], ["pandas==3.1.1", "numpy==2.4.6"])
    assert found == ["numpy==1.26.4", "pandas==3.1.1"]


def test_names_are_compared_as_packages_are_named():
    """`PyYAML` and `pyyaml` are one package, and markers stay with their line."""
    locked = ["PyYAML==6.0.3", "colorama==0.4.6 ; sys_platform == 'win32'"]
    assert constraints({"pyyaml": "6.0.1"}, ["pyyaml"], locked) == [
        "pyyaml==6.0.1",
        "colorama==0.4.6 ; sys_platform == 'win32'",
    ]


def test_requirements_of_a_file():
    """Comments and options are none."""
    assert requirements("# x\n-c other.txt\npandas>=3,<4\ncroniter==7.0.0\n    # via -r x\n") == [
        "pandas>=3,<4",
        "croniter==7.0.0",
    ]
