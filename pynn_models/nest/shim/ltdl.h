// NEST's headers name libltdl's handle type; the wheel does not ship libltdl's header.
#ifndef SNN_SSM_SHIM_LTDL_H
#define SNN_SSM_SHIM_LTDL_H
typedef struct lt__handle* lt_dlhandle;
#endif
