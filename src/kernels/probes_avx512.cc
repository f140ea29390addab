// Reading with 512-bit loads. In assembly: nothing may drop, merge or spill the loads.
#include <cstdint>

namespace tilewise::kernels::avx512 {

void read_through(const void* data, int64_t bytes, int64_t rounds) {
  for (; rounds > 0; --rounds) {
    const auto* at = static_cast<const char*>(data);
    const char* const end = at + bytes;
    asm volatile(
        "1:\n"
        ".irp n,0,1,2,3,4,5,6,7\n vmovaps 64*\\n(%0),%%zmm\\n\n.endr\n"
        ".irp n,0,1,2,3,4,5,6,7\n vmovaps 512+64*\\n(%0),%%zmm\\n\n.endr\n"
        "add $1024,%0\n"
        "cmp %1,%0\n"
        "jb 1b\n"
        "vzeroupper\n"
        : "+r"(at)
        : "r"(end)
        : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
  }
}

}  // namespace tilewise::kernels::avx512
