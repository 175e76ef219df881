block.u 0 L2 [] -> {
      r1       = i2f.f32.u32.re ur6                                 // delay=2 wr:0
      r1       = mufu.rcp.f32 r1                                    // delay=2 wt=000001 wr:0
      ur5      = mov rZ                                             // delay=2
} -> [1]
block.u 1 L3 [0, 5] -> {
      up0      = isetp.ge.u32 ur6 ur4                               // delay=9
                 bra !up0 L5                                        // delay=1
} -> [2, 3]
block.u 2 L4 [1] -> {
                 st.global.a64.strong.gpu.b32 [r2..4] r20           // delay=1
                 exit                                               // delay=1
} -> []
block.u 3 L5 [1] -> {
      r85      = imad r85 r7 rZ                                     // delay=4
@p1   r86      = ld.global.a64.constant.b32 [r84..86]               // delay=4 wr:0
      ur5      = mov rZ                                             // delay=2
} -> [4]
block.u 4 L6 [3, 4] -> {
      r88..92  = ld.shared.strong.cta.b128 [r5.x16+0x200]           // delay=1 wr:0
      r20      = ffma r88 r89 r20                                   // delay=2
      r21      = ffma r88 r90 r21                                   // delay=2
      ur5      = iadd3 ur5 0x1 rZ                                   // delay=4
      up0      = isetp.lt.u32 ur5 0x8                               // delay=9
                 bra up0 L6                                         // delay=1
} -> [4, 5]
block.u 5 L7 [4] -> {
                 bra pT L3                                          // delay=1
} -> [1]
