Native code for unnamed CL shader (null) with blake3 0c9c:
; num_ubos:           0
@in(r48.x)	in0 (wrmask=0x7)
cov.u32f32 r54.w, r49.w
(rpt1)nop
(ss)rcp r54.w, r54.w
mov.u32u32 r10.x, 0
l20:
(ss)br !p0.x, #l60
mull.u r1.x, r2.x, r3.x
(sy)isam.v.base0 (u32)(xyzw)r4.x, r1.x, s#0, t#1
(jp)mov.u32u32 r11.x, 0
l30:
ldl.u32 r6.x, l[r5.x], 4
(sy)(rpt3)mad.f32 r8.x, r4.x, (r)r6.x, (r)r8.x
(nop2) add.u r11.x, r11.x, 1
cmps.u.ge p0.y, r11.x, 16
(rpt5)nop
br !p0.y, #l30
add.u r10.x, r10.x, 16
jump #l20
l60:
end
