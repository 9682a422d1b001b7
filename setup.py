"""What pyproject.toml cannot say: templates and static files lie beside the packages but are installed inside one."""

from setuptools import find_namespace_packages, setup

DATA_FOLDERS = ("templates", "static")

setup(
    packages=[
        *find_namespace_packages(include=["nagare_web*", "explorer*", "audits*", "journal*"]),
        *(f"nagare_web.{folder}" for folder in DATA_FOLDERS),
        *(f"nagare_web.{folder}.{inner}" for folder in DATA_FOLDERS for inner in find_namespace_packages(folder)),
    ],
    package_dir={f"nagare_web.{folder}": folder for folder in DATA_FOLDERS},
    package_data={
        "": ["*.html", "*.css", "*.js", "*.svg", "*.txt", "*.gz", "*.json"]
    },  # .txt: the project that the demo's agents work on; .gz: the sample run; .json: the duties
)
