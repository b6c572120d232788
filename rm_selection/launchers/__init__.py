"""Where the jobs of a sweep run: processes of this machine, a ray cluster, Slurm. A lost worker costs its job only.

Hydra's own plugins for these engines stop at the first job without a result, and its word is the only one told. Each
engine here is one function, jobs and settings in, one result a job out; hydra_plugins/ offers them to Hydra.
"""
