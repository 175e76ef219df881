BB0:
	s_load_dwordx4 s[4:7], s[2:3], 0x10                         ; f4080101 fa000010
	v_cvt_f32_u32_e32 v1, s4                                    ; 7e020c04
	v_rcp_iflag_f32_e32 v1, v1                                  ; 7e025701
	v_mul_f32_e32 v1, 0x4f7ffffe, v1                            ; 100202ff 4f7ffffe
	s_mov_b32 s8, 0                                             ; be880380
BB1:
	s_cmp_ge_u32 s8, s5                                         ; bf090508
	s_cbranch_scc1 BB5                                          ; bf850001
BB2:
	v_mul_lo_u32 v4, v4, s13                                    ; d5690004 00001b04
	v_min_u32_e32 v5, s0, v4                                    ; 260a0800
	buffer_load_dwordx4 v[8:11], v5, s[4:7], 0 offen            ; e0381000 80010805
	buffer_load_ushort v12, v5, s[4:7], 0 offen                 ; e0281000 80010c05
	ds_write_b128 v3, v[8:11]                                   ; db7c0000 00000803
	s_barrier                                                   ; bf8a0000
	s_mov_b32 s0, 0                                             ; be800380
BB3:
	ds_read_b128 v[88:91], v85                                  ; dbfc0000 58000055
	v_lshlrev_b32_e32 v85, 4, v85                               ; 34aaaa84
	v_fmac_f32_e32 v20, v88, v89                                ; 562ab358
	v_fmac_f32_e32 v21, v88, v90                                ; 562ab358
	v_dual_fmac_f32 v22, v1, v2 :: v_dual_mul_f32 v23, v4, v5   ; c8000000
	s_add_u32 s0, s0, 2                                         ; 80008200
	s_cmp_ge_u32 s0, 16                                         ; bf099000
	s_cbranch_scc0 BB3                                          ; bf84ffa0
BB4:
	s_add_u32 s8, s8, 16                                        ; 80088208
	s_branch BB1                                                ; bf82fe40
BB5:
	v_rcp_f32_e32 v1, v2                                        ; 7e025501
	s_endpgm                                                    ; bf810000
