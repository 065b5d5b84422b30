"""What people send is read in processes of their own, so that nothing in it can fell the server.

`sandbox` starts the processes and asks them; `sandbox_process` is what runs in one; `confinement` takes away from a
process what reading needs nothing of: network, files, memory without end.
"""
