mov(8)          g7<1>F          g6<0,1,0>UD                     { align1 WE_all 1Q I@1 compacted };
math inv(8)     g8<1>F          g7<0,1,0>F      null<8,8,1>F    { align1 WE_all 1Q @1 $2 };
math intmod(8)  g73<1>UD        g66<0,1,0>UD    g72<0,1,0>UD    { align1 WE_all 1Q @1 $1 };
mov(8)          g9<1>D          0D                              { align1 1Q };

LABEL1:
cmp.ge.f0.0(8)  null<1>UD       g9<0,1,0>UD     g41<0,1,0>UD    { align1 1Q I@1 };
(+f0.0) break(8) JIP:  LABEL2         UIP:  LABEL2              { align1 1Q };
mul(8)          g64<1>D         g61<0,1,0>D     g41<0,1,0>UW    { align1 WE_all 1Q I@3 };
send(8)         g20UD           g10UD           nullUD          0x0440f500                0x03000000
                            ugm MsgDesc: ( load, a32, d32, V4, L1STATE_L3MOCS dst_len = 4, src0_len = 1, src1_len = 0 bti )  BTI 3  base_offset 0  { align1 1Q $0 };
send(1)         g2UD            g103UD          nullUD          0x0210c500                0x00000000
                            ugm MsgDesc: ( load, a32, d32, V8, transpose, L1STATE_L3MOCS dst_len = 1, src0_len = 1, src1_len = 0 flat )  base_offset 0  { align1 WE_all 1N $0 };
mov(8)          g50<1>D         0D                              { align1 1Q };

LABEL3:
cmp.ge.f0.0(8)  null<1>UD       g50<8,8,1>UD    0x00000004UD    { align1 1Q I@1 };
(+f0.0) break(8) JIP:  LABEL4         UIP:  LABEL4              { align1 1Q };
send(8)         g24UD           g11UD           nullUD          0x0440f500                0x03000000
                            slm MsgDesc: ( load, a32, d32, V4, L1STATE_L3MOCS dst_len = 4, src0_len = 1, src1_len = 0 flat )  base_offset 0  { align1 1Q $0 };
sync nop(1)     null<0,1,0>UB                                   { align1 WE_all 1N $1.dst };
mad(8)          g30<1>F         g30<8,8,1>F     g24<8,8,1>F     g25<1,1,1>F { align1 1Q F@2 };
mad(8)          g31<1>F         g31<8,8,1>F     g24<8,8,1>F     g26<1,1,1>F { align1 1Q F@2 };
add(8)          g50<1>D         g50<8,8,1>D     1D              { align1 1Q I@1 };

LABEL4:
while(8)        JIP:  LABEL3                                    { align1 1Q };
add(8)          g9<1>D          g9<8,8,1>D      16D             { align1 1Q I@1 };

LABEL2:
while(8)        JIP:  LABEL1                                    { align1 1Q };
