"""Runs a program that the kernel refuses io_uring calls, as the seccomp profile of a container does.

refuse.py ERRNO FIRST PROGRAM [ARGUMENT]...

ERRNO is the answer, by name. Refused are io_uring_setup (425), io_uring_enter (426) and
io_uring_register (427), from number FIRST on.
"""

import ctypes
import errno
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7FFF0000
LOAD_WORD, JUMP_IF_GREATER_OR_EQUAL, JUMP_IF_GREATER, RETURN = 0x20, 0x35, 0x25, 0x06
NUMBER_OF_THE_CALL = 0
LAST = 427


class Filter(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def instruction(code, operand, if_true=0, if_false=0):
    """struct sock_filter"""
    return struct.pack("=HBBI", code, if_true, if_false, operand)


def refuse(first, answer):
    program = b"".join([
        instruction(LOAD_WORD, NUMBER_OF_THE_CALL),
        instruction(JUMP_IF_GREATER_OR_EQUAL, first, if_false=2),
        instruction(JUMP_IF_GREATER, LAST, if_true=1),
        instruction(RETURN, SECCOMP_RET_ERRNO | answer),
        instruction(RETURN, SECCOMP_RET_ALLOW),
    ])
    memory = ctypes.create_string_buffer(program, len(program))
    libc = ctypes.CDLL(None, use_errno=True)
    filter = Filter(len(program) // 8, ctypes.addressof(memory))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_SECCOMP")


answer, first, program = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
refuse(first, getattr(errno, answer))
os.execv(program[0], program)
