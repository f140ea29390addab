// Which symbols libtilewise.so offers; everything else in it is hidden.
#pragma once

#if defined(__GNUC__)
#define TILEWISE_EXPORT [[gnu::visibility("default")]]
#else
#define TILEWISE_EXPORT
#endif
